/* Mail by SMTP (RFC 5321), through libcurl. Any thread; blocks. */
#pragma once

#include <stdbool.h>

struct mailer;
struct problem;

/* url "smtp://[user:password@]host:port" or "smtps://…", from an address. url "" → *ret_mailer
 * NULL. */
int mail_open(const char *url, const char *from, struct mailer **ret_mailer,
              struct problem *problem);
/* Speaks with the server as far as to a log-in and sends nothing. Words in problem. NULL: 0. */
int mail_check(struct mailer *mailer, struct problem *problem);
/* False for NULL, and while the server is not to be asked (base/breaker.h): mail_send would fail.
 */
bool mail_is_up(struct mailer *mailer);
int mail_send(struct mailer *mailer, const char *to, const char *subject, const char *text_body);
void mail_close(struct mailer *mailer);
