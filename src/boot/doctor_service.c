/* Doctor's checks of what must answer (doctor_checks.h): tutti-media, Kafka, the server, mail.
 */
#include "boot/doctor_checks.h"

#include "backend/bus/bus.h"
#include "backend/edge/edge.h"
#include "backend/mail/mail.h"
#include "base/error.h"
#include "base/json.h"
#include "base/problem.h"
#include "boot/config.h"
#include "boot/platform.h"
#include "service/transcode/transcode.h"

#include <curl/curl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { ANSWER_BYTES_MAX = 8192, ANSWER_TIMEOUT_S = 5 };

/* media */

void doctor_check_media(struct doctor *doctor, struct finding *finding)
{
    char path[PATH_MAX];
    struct problem problem = {0};
    platform_media_program(doctor->config, path);
    int error = transcode_media_check(path, &problem);
    if (error != 0) {
        finding_fail(finding,
                     "install tutti-media beside tutti, or set transcode.media_program; the kernel "
                     "must allow seccomp filters",
                     "%s", finding_words(&problem, error));
        return;
    }
    finding_ok(finding, "%s encoded a test sound in its sandbox", path);
}

/* bus */

void doctor_check_bus(struct doctor *doctor, struct finding *finding)
{
    static const char *const databases[] = {"catalog", "users", "activity", NULL};
    struct problem problem = {0};
    char dead[BUS_DEAD_SIZE];
    int error = bus_check(config_text(doctor->config, CONFIG_BUS_STORE), databases, dead, &problem);
    if (error != 0) {
        finding_fail(finding,
                     "until it is mended events wait in the outbox; docs/operations.md says what "
                     "Kafka and its user need",
                     "%s", finding_words(&problem, error));
        return;
    }
    finding_ok(finding, "events can flow%s%s",
               dead[0] != '\0' ? "; those that are given up go to the topic " : "", dead);
}

/* server */

struct answer {
    size_t length;
    char text[ANSWER_BYTES_MAX];
};

static size_t keep(char *bytes, size_t size, size_t count, void *argument)
{
    struct answer *answer = argument;
    size_t length = size * count, room = sizeof answer->text - 1 - answer->length;
    length = length < room ? length : room;
    memcpy(answer->text + answer->length, bytes, length);
    answer->length += length;
    answer->text[answer->length] = '\0';
    return size * count;
}

/* Where we reach what listens: on all addresses is also on loopback. */
static void local_url(const struct config *config, char *out, size_t size)
{
    const char *listen = config_text(config, CONFIG_SERVER_LISTEN);
    const char *port = strrchr(listen, ':');
    const char *base = config_text(config, CONFIG_SERVER_BASE_PATH);
    if (strncmp(listen, "0.0.0.0:", 8) == 0) {
        (void)snprintf(out, size, "http://127.0.0.1%s%s/readyz", port, base);
    } else if (strncmp(listen, "[::]:", 5) == 0) {
        (void)snprintf(out, size, "http://[::1]%s%s/readyz", port, base);
    } else {
        (void)snprintf(out, size, "http://%s%s/readyz", listen, base);
    }
}

static CURLcode get(const char *url, struct answer *answer, long *ret_status)
{
    CURL *curl = curl_easy_init();
    if (curl == NULL) {
        return CURLE_OUT_OF_MEMORY;
    }
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
    (void)curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)ANSWER_TIMEOUT_S);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    CURLcode code = curl_easy_perform(curl);
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_status);
    curl_easy_cleanup(curl);
    return code;
}

void doctor_check_server(struct doctor *doctor, struct finding *finding)
{
    char url[PATH_MAX];
    struct answer answer = {.length = 0};
    long status = 0;
    local_url(doctor->config, url, sizeof url);
    CURLcode code = get(url, &answer, &status);
    json_t *body CLEANUP_JSON = NULL;
    (void)json_read(answer.text, answer.length, NULL, &body);
    const char *word = json_string_value(json_object_get(body, "status"));
    if (code == CURLE_COULDNT_CONNECT) {
        finding_ok(finding, "it is not running; %s is free",
                   config_text(doctor->config, CONFIG_SERVER_LISTEN));
    } else if (code == CURLE_OPERATION_TIMEDOUT) {
        finding_fail(finding, "see its log, and restart it", "%s gives no answer within %d s", url,
                     ANSWER_TIMEOUT_S);
    } else if (code != CURLE_OK || word == NULL || json_object_get(body, "engines") == NULL) {
        finding_fail(finding, "end that program, or set server.listen to another port",
                     "something else listens at %s",
                     config_text(doctor->config, CONFIG_SERVER_LISTEN));
    } else if (status != 200) {
        finding_fail(finding, "see its log", "it answers, but is \"%s\"", word);
    } else {
        finding_ok(finding, "it answers at %s: %s", url, word);
    }
}

/* mail */

void doctor_check_edges(struct doctor *doctor, struct finding *finding)
{
    struct edges *edges = NULL;
    struct problem problem = {0};
    int error = edges_open(config_text(doctor->config, CONFIG_EDGE_URLS), &edges, &problem);
    if (error == 0 && edges == NULL) {
        finding_ok(finding, "none are set up (edge.urls)");
        return;
    }
    error = error != 0 ? error : edges_look(edges, &problem);
    if (error != 0) {
        finding_fail(finding, "check edge.urls, and that edge: it is not told what was deleted",
                     "%s", finding_words(&problem, error));
    } else {
        finding_ok(finding, "each edge answers");
    }
    edges_close(edges);
}

void doctor_check_mail(struct doctor *doctor, struct finding *finding)
{
    struct mailer *mailer = NULL;
    struct problem problem = {0};
    int error = mail_open(config_text(doctor->config, CONFIG_MAIL_URL),
                          config_text(doctor->config, CONFIG_MAIL_FROM), &mailer, &problem);
    error = error != 0 ? error : mail_check(mailer, &problem);
    if (error != 0) {
        finding_fail(finding, "check mail.url: without mail nobody can choose a new password", "%s",
                     finding_words(&problem, error));
    } else if (mailer == NULL) {
        finding_ok(finding, "none is set up (mail.url); who forgets a password asks an admin");
    } else {
        finding_ok(finding, "the mail server answers and lets us in");
    }
    mail_close(mailer);
}
