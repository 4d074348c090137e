/* Configuration text. What is read is within its limits; written as a file and read again it is the
 * same, but for passwords, which are not written; what is refused is refused with the place.
 *
 * Covers: src/boot/config.c */
#include "base/error.h"
#include "base/problem.h"
#include "boot/config.h"
#include "fuzz.h"

static char *written(const struct config *config)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    FUZZ_CHECK(out != NULL);
    config_write(config, NULL, out);
    FUZZ_CHECK(fclose(out) == 0);
    return text;
}

static void check_values(const struct config *config, const struct config *again)
{
    for (enum config_setting setting = 0; setting < CONFIG_SETTINGS_; setting++) {
        const struct config_row *row = config_row(setting);
        int64_t number = config_number(config, setting);
        if (row->kind == CONFIG_NUMBER) {
            FUZZ_CHECK(number >= row->min && number <= row->max);
        }
        if (row->kind != CONFIG_SECRET && row->kind != CONFIG_URL) {
            FUZZ_CHECK(strcmp(config_text(config, setting), config_text(again, setting)) == 0);
            FUZZ_CHECK(number == config_number(again, setting));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    struct config *config = NULL, *again = NULL;
    struct problem problem = {0};
    FUZZ_CHECK(config_new(&config) == 0 && config_new(&again) == 0);
    int error = config_read_text(config, "fuzz", text, &problem);
    if (error == 0) {
        char *file = written(config);
        FUZZ_CHECK(config_read_text(again, "again", file, &problem) == 0);
        check_values(config, again);
        free(file);
    } else {
        FUZZ_CHECK(error == ERR_INVALID && strncmp(problem.detail, "fuzz:", 5) == 0);
    }
    config_free(config);
    config_free(again);
    free(text);
    return 0;
}
