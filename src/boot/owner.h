/* Who a command works as. */
#pragma once

struct place;

/* A command that root runs on the installation of another user goes on as that user, as with
 * sudo -u: keys, databases, journals, indexes, objects and copies that it makes are then the
 * server's, which could not read root's; and whatever that user left there is met with that user's
 * rights. Files that root alone may read or write and that the operator names (a backup, a folder
 * of music) stay open to it, by backend/rights.h. Does nothing for anybody else, where root itself
 * owns the installation, and where root may not change its user (a container without CAP_SETUID).
 * Main thread, before there are others. */
void owner_become(const struct place *place);
