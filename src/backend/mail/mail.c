/* Mail by SMTP through libcurl (mail.h). A connection a mail: mails are rare. Called from
 * identity's mail pool; any thread may. */
#include "backend/mail/mail.h"

#include "backend/mail/mail_message.h"
#include "base/breaker.h"
#include "base/buffer.h"
#include "base/call.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/problem.h"

#include <curl/curl.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    MESSAGE_BYTES_MAX = 256 * 1024,
    CONNECT_TIMEOUT_S = 10,
    ANSWER_TIMEOUT_S = 10,
    TIMEOUT_S = 30
};

struct mailer {
    char *url;
    struct mail_sender sender;
    bool need_tls; /* a password goes over the line to another machine */
    struct breaker *breaker;
};

/* Parses by curl's own parser, so that what is checked is what is used. */
static int look_at_url(const char *url, bool *ret_need_tls)
{
    CURLU *parsed = curl_url();
    char *scheme = NULL, *host = NULL, *user = NULL;
    bool sound = parsed != NULL &&
                 curl_url_set(parsed, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
                 curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                 curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
                 (strcmp(scheme, "smtp") == 0 || strcmp(scheme, "smtps") == 0);
    if (sound) {
        bool local = strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
                     strcmp(host, "[::1]") == 0;
        *ret_need_tls = curl_url_get(parsed, CURLUPART_USER, &user, 0) == CURLUE_OK && !local;
    }
    curl_free(user);
    curl_free(host);
    curl_free(scheme);
    curl_url_cleanup(parsed);
    return sound ? 0 : ERR_INVALID;
}

int mail_open(const char *url, const char *from, struct mailer **ret_mailer,
              struct problem *problem)
{
    if (url[0] == '\0') {
        *ret_mailer = NULL;
        return 0;
    }
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return problem_set(problem, ERR_INTERNAL, "libcurl can't be started");
    }
    struct mailer *mailer = calloc(1, sizeof *mailer);
    int error = ERR_NO_MEMORY;
    if (mailer != NULL && (mailer->url = strdup(url)) != NULL) {
        error = 0;
        if (look_at_url(url, &mailer->need_tls) != 0) {
            /* The text may hold a password, so it is not repeated. */
            error =
                problem_set(problem, ERR_INVALID,
                            "mail.url should read smtp://[user:password@]host:port or smtps://…");
        } else if (mail_sender_parse(from, &mailer->sender) != 0) {
            error = problem_set(problem, ERR_INVALID,
                                "mail.from is \"%s\"; it should read name@example.org or Some Name"
                                " <name@example.org>",
                                from);
        }
    }
    if (error == 0) {
        error = breaker_new(&(struct breaker_config){.name = "mail"}, &mailer->breaker);
    }
    if (error != 0) {
        mail_close(mailer);
        if (mailer == NULL) {
            curl_global_cleanup();
        }
        return error;
    }
    *ret_mailer = mailer;
    return 0;
}

void mail_close(struct mailer *mailer)
{
    if (mailer == NULL) {
        return;
    }
    if (mailer->url != NULL) {
        sodium_memzero(mailer->url, strlen(mailer->url));
    }
    free(mailer->url);
    breaker_free(mailer->breaker);
    free(mailer);
    curl_global_cleanup();
}

struct reading {
    const struct buffer *message;
    size_t offset;
};

static size_t read_message(char *out, size_t size, size_t count, void *argument)
{
    struct reading *reading = argument;
    size_t length = reading->message->length - reading->offset;
    if (length > size * count) {
        length = size * count;
    }
    memcpy(out, reading->message->data + reading->offset, length);
    reading->offset += length;
    return length;
}

static void aim(CURL *curl, const struct mailer *mailer)
{
    long tls = mailer->need_tls ? CURLUSESSL_ALL : CURLUSESSL_TRY;
    (void)curl_easy_setopt(curl, CURLOPT_URL, mailer->url);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    (void)curl_easy_setopt(curl, CURLOPT_USE_SSL, tls);
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)call_remaining_ms(TIMEOUT_S * 1000));
    /* Alone counts while the conversation is ended, which may follow upon a failure. */
    (void)curl_easy_setopt(curl, CURLOPT_SERVER_RESPONSE_TIMEOUT, (long)ANSWER_TIMEOUT_S);
}

static CURLcode transfer(CURL *curl, const struct mailer *mailer, struct curl_slist *recipients,
                         struct reading *reading)
{
    aim(curl, mailer);
    (void)curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, recipients);
    (void)curl_easy_setopt(curl, CURLOPT_READFUNCTION, read_message);
    (void)curl_easy_setopt(curl, CURLOPT_READDATA, reading);
    (void)curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    /* without it the letter would go out as from nobody */
    CURLcode code = curl_easy_setopt(curl, CURLOPT_MAIL_FROM, mailer->sender.address);
    return code == CURLE_OK ? curl_easy_perform(curl) : code;
}

static int error_of(CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return 0;
    case CURLE_OUT_OF_MEMORY:
        return ERR_NO_MEMORY;
    case CURLE_OPERATION_TIMEDOUT:
        return ERR_TIMEOUT;
    default:
        return ERR_UNAVAILABLE;
    }
}

/* A server that refuses a recipient or a mail (RFC 5321 section 4.2.1: 5yz for good, 4yz for now,
 * 421 when it goes away) does its work all the same. */
static enum breaker_outcome outcome_of(CURL *curl, int error)
{
    long reply = 0;
    if (curl != NULL && error == ERR_UNAVAILABLE) {
        (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply);
    }
    return reply > 421 && reply < 600 ? BREAKER_OK : breaker_outcome(error);
}

static int send_message(const struct mailer *mailer, const char *to, const struct buffer *message)
{
    struct reading reading = {.message = message};
    struct breaker_pass pass;
    int error = breaker_enter(mailer->breaker, &pass);
    if (error != 0) {
        return error;
    }
    CURL *curl = curl_easy_init();
    struct curl_slist *recipients = curl_slist_append(NULL, to);
    CURLcode code = CURLE_OUT_OF_MEMORY;
    if (curl != NULL && recipients != NULL) {
        code = transfer(curl, mailer, recipients, &reading);
    }
    error = error_of(code);
    breaker_leave(mailer->breaker, &pass, outcome_of(curl, error));
    curl_slist_free_all(recipients);
    curl_easy_cleanup(curl);
    return error;
}

bool mail_is_up(struct mailer *mailer)
{
    return mailer != NULL && breaker_lets_in(mailer->breaker);
}

int mail_check(struct mailer *mailer, struct problem *problem)
{
    CURL *curl = mailer != NULL ? curl_easy_init() : NULL;
    if (curl == NULL) {
        return mailer == NULL ? 0 : ERR_NO_MEMORY;
    }
    aim(curl, mailer);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_cleanup(curl);
    return code == CURLE_OK ? 0
                            : problem_set(problem, error_of(code), "The mail server: %s",
                                          curl_easy_strerror(code));
}

int mail_send(struct mailer *mailer, const char *to, const char *subject, const char *text_body)
{
    unsigned char random[16];
    char id[2 * sizeof random + 1];
    randombytes_buf(random, sizeof random);
    (void)sodium_bin2hex(id, sizeof id, random, sizeof random);
    struct buffer message;
    buffer_init(&message, MESSAGE_BYTES_MAX);
    int error = mail_message_write(&message, &mailer->sender, to, subject, text_body,
                                   clock_wall_ms() / 1000, id);
    if (error == 0) {
        error = send_message(mailer, to, &message);
    }
    sodium_memzero(message.data, message.capacity);
    buffer_done(&message);
    return error;
}
