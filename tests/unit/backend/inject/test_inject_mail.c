/* Mail when memory fails (inject.h): a letter is sent or not, the caller is told, and the next one
 * goes out. Against an SMTP server of a few lines on loopback, a thread of the test. */
#include "backend/mail/mail.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"

#include "inject.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- The server: one conversation after another ---- */

static struct {
    int listener;
    pthread_t thread;
    atomic_uint letters, from_nobody;
} server;
static char url[64];

static void answer(int fd, const char *line)
{
    (void)send(fd, line, strlen(line), MSG_NOSIGNAL);
}

/* One conversation, a line at a time, on the stack: the failures are not for us. */
static void talk(int fd)
{
    char line[1024];
    size_t length = 0;
    bool in_letter = false;
    const struct timeval patience = {.tv_sec = 2}; /* for who fell silent for want of memory */
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    answer(fd, "220 test\r\n");
    while (recv(fd, &line[length], 1, 0) == 1) {
        if (length < sizeof line - 2 && line[length] != '\n') {
            length++;
            continue;
        }
        line[length + 1] = '\0';
        length = 0;
        if (in_letter) {
            if (strcmp(line, ".\r\n") == 0) {
                in_letter = false;
                (void)atomic_fetch_add(&server.letters, 1);
                answer(fd, "250 taken\r\n");
            }
        } else if (strncmp(line, "DATA", 4) == 0) {
            in_letter = true;
            answer(fd, "354 go on\r\n");
        } else if (strncmp(line, "QUIT", 4) == 0) {
            answer(fd, "221 bye\r\n");
            return;
        } else {
            bool nobody = strncmp(line, "MAIL FROM:<>", 12) == 0;
            (void)atomic_fetch_add(&server.from_nobody, nobody ? 1 : 0);
            answer(fd, "250 fine\r\n");
        }
    }
}

static void *serve(void *argument)
{
    (void)argument;
    for (int fd; (fd = accept(server.listener, NULL, NULL)) >= 0;) {
        talk(fd);
        (void)close(fd);
    }
    return NULL;
}

static int start_server(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (inject_setup(state) != 0) {
        return -1;
    }
    server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server.listener < 0 || bind(server.listener, (struct sockaddr *)&address, size) != 0 ||
        listen(server.listener, 16) != 0 ||
        getsockname(server.listener, (struct sockaddr *)&address, &size) != 0) {
        return -1;
    }
    (void)snprintf(url, sizeof url, "smtp://127.0.0.1:%u", ntohs(address.sin_port));
    return pthread_create(&server.thread, NULL, serve, NULL);
}

static int stop_server(void **state)
{
    (void)shutdown(server.listener, SHUT_RDWR);
    (void)pthread_join(server.thread, NULL);
    (void)close(server.listener);
    return inject_teardown(state);
}

/* ---- The mailer ---- */

static struct mailer *mailer;
static unsigned letters_before;

static int run_open(void)
{
    struct problem problem = {0};
    mailer = NULL;
    return mail_open(url, "Tutti <tutti@example.org>", &mailer, &problem);
}

static void check_open(int result)
{
    assert_int_equal(mailer != NULL, result == 0);
    assert_int_equal(result < 0 ? run_open() : 0, 0);
    mail_close(mailer);
}

static int run_send(void)
{
    return mail_send(mailer, "someone@example.org", "Grüße",
                     "A short text, long enough to be sent.");
}

static void count_letters(void)
{
    letters_before = atomic_load(&server.letters);
}

/* The second letter is taken after the conversation of the first has ended. */
static void check_send(int result)
{
    assert_int_equal(run_send(), 0);
    unsigned first = atomic_load(&server.letters) - letters_before - 1;
    assert_in_range(first, result < 0 ? 0 : 1, 1);
    assert_int_equal(atomic_load(&server.from_nobody), 0);
}

static void sending(void **state)
{
    (void)state;
    const struct inject_case opening = {.name = "mail_open",
                                        .hits = INJECT_BIT(INJECT_MEMORY),
                                        .run = run_open,
                                        .check = check_open};
    inject_each(&opening, 1);
    assert_int_equal(run_open(), 0);
    const struct inject_case what = {.name = "mail_send",
                                     .hits = INJECT_BIT(INJECT_MEMORY),
                                     .prepare = count_letters,
                                     .run = run_send,
                                     .check = check_send};
    inject_each(&what, 1);
    mail_close(mailer);
}

/* libcurl's own memory fails too: mail_open's start of it only counts then. */
static int install(void **state)
{
    CURLcode code =
        curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, free, realloc, strdup, calloc);
    return code == CURLE_OK ? inject_install(state) : -1;
}

static int end(void **state)
{
    (void)state;
    curl_global_cleanup();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sending, start_server, stop_server)};
    return cmocka_run_group_tests(tests, install, end);
}
