/* Failures under SQLite: its allocator, and a VFS whose files fail; all else passes through. */
#include "inject_sqlite.h"

#include <assert.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stddef.h>

/* ---- Memory ---- */

static sqlite3_mem_methods real_memory;

static void *faulty_malloc(int bytes)
{
    return inject_fails(INJECT_MEMORY) ? NULL : real_memory.xMalloc(bytes);
}

static void *faulty_realloc(void *old, int bytes)
{
    return inject_fails(INJECT_MEMORY) ? NULL : real_memory.xRealloc(old, bytes);
}

/* ---- Files ---- */

static sqlite3_vfs faulty_vfs;
static sqlite3_vfs *real_vfs;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Its functions are the same in all tables of the real one; the log's lacks an index. */
static const sqlite3_io_methods *real_files;
static struct {
    const sqlite3_io_methods *real;
    sqlite3_io_methods faulty;
} tables[4]; /* the database and its log are opened with different ones */

static int faulty_sync(sqlite3_file *file, int flags)
{
    return inject_fails(INJECT_SYNC) ? SQLITE_IOERR_FSYNC : real_files->xSync(file, flags);
}

static int faulty_write(sqlite3_file *file, const void *bytes, int length, sqlite3_int64 offset)
{
    if (inject_fails(INJECT_FULL)) {
        return SQLITE_FULL;
    }
    return inject_fails(INJECT_WRITE) ? SQLITE_IOERR_WRITE
                                      : real_files->xWrite(file, bytes, length, offset);
}

static int faulty_truncate(sqlite3_file *file, sqlite3_int64 bytes)
{
    return inject_fails(INJECT_WRITE) ? SQLITE_IOERR_TRUNCATE : real_files->xTruncate(file, bytes);
}

static int faulty_read(sqlite3_file *file, void *bytes, int length, sqlite3_int64 offset)
{
    return inject_fails(INJECT_READ) ? SQLITE_IOERR_READ
                                     : real_files->xRead(file, bytes, length, offset);
}

/* The log's index grows by writing to its file. */
static int faulty_map(sqlite3_file *file, int region, int bytes, int extend,
                      void volatile **ret_memory)
{
    return inject_fails(INJECT_WRITE)
               ? SQLITE_IOERR_SHMSIZE
               : real_files->xShmMap(file, region, bytes, extend, ret_memory);
}

static const sqlite3_io_methods *make_faulty(const sqlite3_io_methods *methods)
{
    unsigned i = 0;
    while (tables[i].real != NULL && tables[i].real != methods) {
        i++;
        assert(i < sizeof tables / sizeof tables[0]);
    }
    if (tables[i].real == NULL) {
        tables[i].real = methods;
        if (real_files == NULL || methods->xShmMap != NULL) {
            real_files = methods;
        }
        tables[i].faulty = *methods;
        tables[i].faulty.xSync = faulty_sync;
        tables[i].faulty.xWrite = faulty_write;
        tables[i].faulty.xTruncate = faulty_truncate;
        tables[i].faulty.xRead = faulty_read;
        tables[i].faulty.xShmMap = methods->xShmMap != NULL ? faulty_map : NULL;
    }
    return &tables[i].faulty;
}

static int faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                       int *ret_flags)
{
    (void)vfs;
    file->pMethods = NULL;
    if (inject_fails(INJECT_OPEN)) {
        return SQLITE_CANTOPEN;
    }
    int code = real_vfs->xOpen(real_vfs, name, file, flags, ret_flags);
    if (code == SQLITE_OK && file->pMethods != NULL) {
        (void)pthread_mutex_lock(&lock);
        file->pMethods = make_faulty(file->pMethods);
        (void)pthread_mutex_unlock(&lock);
    }
    return code;
}

int inject_install_sqlite(void)
{
    int code = sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory);
    if (code != SQLITE_OK) {
        return code;
    }
    sqlite3_mem_methods faulty_memory = real_memory;
    faulty_memory.xMalloc = faulty_malloc;
    faulty_memory.xRealloc = faulty_realloc;
    code = sqlite3_config(SQLITE_CONFIG_MALLOC, &faulty_memory);
    if (code != SQLITE_OK || (code = sqlite3_initialize()) != SQLITE_OK) {
        return code;
    }
    real_vfs = sqlite3_vfs_find(NULL);
    faulty_vfs = *real_vfs;
    faulty_vfs.zName = "faulty";
    faulty_vfs.xOpen = faulty_open;
    return sqlite3_vfs_register(&faulty_vfs, 1);
}
