/* Failures under SQLite (inject_sqlite.c). */
#pragma once

#include "inject.h"

/* Puts them there; 0, or SQLite's code. */
int inject_install_sqlite(void);
/* Counts a call; true when it is to fail (inject.c). */
bool inject_fails(enum inject_kind kind);
