/* Who is alive on a SQLite file (db.h): a mark is a lock on one byte, at the offset of the mark, of
 * the file PATH-peers. The kernel lets it go with the process, however that ends, and asking for it
 * works across containers that share the folder, where process numbers would not. The file stays
 * empty. Any thread.
 */
#include "backend/db/db_sqlite.h"

#include "base/error.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_peers_of(const char *database, int flags)
{
    char *path CLEANUP_FREE = NULL;
    if (asprintf(&path, "%s-peers", database) < 0) {
        path = NULL;
        return -1;
    }
    return open(path, O_RDWR | O_CLOEXEC | flags, S_IRUSR | S_IWUSR);
}

static int open_peers(const struct sqlite_db *db)
{
    return open_peers_of(db->path, O_CREAT);
}

/* Locks of an open file description: not lost when another descriptor of the file is closed. */
static struct flock byte_of(int64_t mark)
{
    return (struct flock){
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = mark & (INT64_MAX >> 1), .l_len = 1};
}

int sqlite_alive_mark(struct db *base, int64_t mark)
{
    struct sqlite_db *db = (struct sqlite_db *)base;
    int r = 0;
    (void)pthread_mutex_lock(&db->readers.lock);
    if (db->peers_fd < 0) {
        db->peers_fd = open_peers(db);
    }
    struct flock lock = byte_of(mark);
    if (db->peers_fd < 0 || fcntl(db->peers_fd, F_OFD_SETLK, &lock) != 0) {
        db_words_set(strerror(errno));
        r = errno == EAGAIN || errno == EACCES ? ERR_EXISTS : ERR_UNAVAILABLE;
    }
    (void)pthread_mutex_unlock(&db->readers.lock);
    return r;
}

bool sqlite_is_alive(struct db *base, int64_t mark)
{
    /* A description of its own: one does not see its own locks. */
    int fd CLEANUP_CLOSE = open_peers((struct sqlite_db *)base);
    struct flock lock = byte_of(mark);
    return fd < 0 || fcntl(fd, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

bool sqlite_in_use(const char *url)
{
    int fd CLEANUP_CLOSE = open_peers_of(url + strlen("sqlite:"), 0);
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fd >= 0 && (fcntl(fd, F_OFD_GETLK, &whole) != 0 || whole.l_type != F_UNLCK);
}
