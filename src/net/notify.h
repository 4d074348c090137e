/* Telling the service manager how we are: systemd's notification protocol (sd_notify(3)), one
 * datagram to NOTIFY_SOCKET. Without that variable nothing happens. Any thread. */
#pragma once

/* "READY=1", "STOPPING=1", "RELOADING=1", "EXTEND_TIMEOUT_USEC=…"; several with a line each. */
void notify_state(const char *state);
