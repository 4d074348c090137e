/* A media process gone wrong: does what the request's "job" names. Used by test_child.c. */
#include "media/job.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FAKE_FILE_BYTES_MAX = 4096 }; /* as test_child.c has it */

static void say(const char *words)
{
    (void)send(MEDIA_JOB_FD, words, strlen(words), MSG_NOSIGNAL);
}

static void answer_environment(char **environment)
{
    char words[96];
    int open = 0;
    for (int fd = 0; fd < 256; fd++) {
        open += lseek(fd, 0, SEEK_CUR) >= 0 || fd == MEDIA_JOB_FD ? 1 : 0;
    }
    (void)snprintf(words, sizeof words, "{\"ok\":true,\"descriptors\":%d,\"variables\":%d}", open,
                   environment[0] != NULL ? 1 : 0);
    say(words);
}

static void write_long(off_t length)
{
    int fd = memfd_create("long", MFD_CLOEXEC);
    say(pwrite(fd, "x", 1, length - 1) == 1 ? "{\"ok\":true}" : "{\"ok\":false}");
    (void)close(fd);
}

static void burn(bool chatter)
{
    for (volatile unsigned i = 1;; i++) {
        if (chatter && i % 1000000 == 0) {
            say("{\"progress\":1}");
        }
    }
}

int main(int argc, char **argv, char **environment)
{
    static char packet[MEDIA_JOB_PACKET_MAX];
    (void)argc, (void)argv;
    for (;;) {
        ssize_t length = recv(MEDIA_JOB_FD, packet, sizeof packet - 1, 0);
        if (length <= 0) {
            return 0;
        }
        packet[length] = '\0';
        if (strstr(packet, "\"fine\"") != NULL) {
            say("{\"progress\":500}");
            say("{\"done\":0,\"rendition\":{\"file\":\"x\"}}");
            say("{\"ok\":true,\"pid\":1}");
        } else if (strstr(packet, "\"environment\"") != NULL) {
            answer_environment(environment);
        } else if (strstr(packet, "\"refuse\"") != NULL) {
            say("{\"ok\":false,\"code\":\"truncated\",\"reason\":\"It ends.\",\"final\":true}");
        } else if (strstr(packet, "\"exit\"") != NULL) {
            return 7;
        } else if (strstr(packet, "\"crash\"") != NULL) {
            (void)raise(SIGSEGV);
        } else if (strstr(packet, "\"nonsense\"") != NULL) {
            say("{\"ok\":");
        } else if (strstr(packet, "\"array\"") != NULL) {
            say("[1,2]");
        } else if (strstr(packet, "\"far\"") != NULL) {
            say("{\"done\":99,\"rendition\":{}}");
        } else if (strstr(packet, "\"silence\"") != NULL) {
            (void)pause();
        } else if (strstr(packet, "\"chatter\"") != NULL) {
            for (;;) {
                say("{\"progress\":1}");
                (void)usleep(20000);
            }
        } else if (strstr(packet, "\"write\"") != NULL) {
            write_long(FAKE_FILE_BYTES_MAX);
        } else if (strstr(packet, "\"write on\"") != NULL) {
            write_long(FAKE_FILE_BYTES_MAX + 1);
        } else if (strstr(packet, "\"burn\"") != NULL) {
            burn(false);
        } else if (strstr(packet, "\"burn on\"") != NULL) {
            (void)signal(SIGXCPU, SIG_IGN);
            burn(false);
        } else if (strstr(packet, "\"burn and chatter\"") != NULL) {
            (void)signal(SIGXCPU, SIG_IGN);
            burn(true);
        }
    }
}
