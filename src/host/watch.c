#include "host/watch.h"

#include "posix/heap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define XFS_MAGIC 0x58465342 /* no header has it */
#define FOLDER_EVENTS                                                                              \
    (IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_CREATE | IN_DELETE | IN_MOVED_FROM |              \
     IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
#define ROOT_EVENTS                                                                                \
    (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF |         \
     IN_ONLYDIR)

#define FILE_EVENTS (IN_MODIFY | IN_ATTRIB | IN_DONT_FOLLOW)

/* File systems that only this system writes to: nobody changes them behind inotify's back. */
static bool is_local(const char *path)
{
    struct statfs info;
    if (statfs(path, &info) != 0)
        return false;
    switch ((unsigned long)info.f_type) {
    case EXT4_SUPER_MAGIC:
    case XFS_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case TMPFS_MAGIC:
        return true;
    default:
        return false;
    }
}

/* A link's target changes without the folder hearing of it, and so does a file that gets a second name and is written by that: what is done to
 * the file itself is told by whatever name. One that had two before may have been written by the other already. */
static bool tells(const struct mw_watch *watch, const char *folder, int fd, const char *name)
{
    mw_autofree char *path = mw_heap_format("%s/%s", folder, name);
    struct stat info;
    if (fstatat(fd, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    if (!S_ISREG(info.st_mode))
        return S_ISDIR(info.st_mode);
    return inotify_add_watch(watch->fd, path, FILE_EVENTS) >= 0 &&
           fstatat(fd, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode) &&
           info.st_nlink == 1;
}

static bool tells_of_its_files(const struct mw_watch *watch, const char *folder)
{
    mw_autoclose int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int list_fd = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    DIR *list = list_fd >= 0 ? fdopendir(list_fd) : NULL;
    bool all = list != NULL;
    for (struct dirent *entry; all && (entry = readdir(list)) != NULL;)
        all = tells(watch, folder, fd, entry->d_name);
    if (list != NULL)
        (void)closedir(list);
    return all;
}

static bool add(const struct mw_watch *watch, const char *folder, uint32_t events)
{
    return is_local(folder) && inotify_add_watch(watch->fd, folder, events) >= 0;
}

void mw_watch_begin(struct mw_watch *watch, const char *const *roots, size_t root_count,
                    const char *const *folders, size_t folder_count)
{
    mw_watch_end(watch);
    watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    watch->open = watch->trusts = watch->fd >= 0;
    for (size_t i = 0; watch->trusts && i < root_count; i++) {
        watch->trusts = add(watch, roots[i], ROOT_EVENTS);
        for (size_t n = 0; watch->trusts && n < folder_count; n++) {
            mw_autofree char *folder = mw_heap_format("%s/%s", roots[i], folders[n]);
            struct stat info;
            if (lstat(folder, &info) != 0)
                watch->trusts = errno == ENOENT; /* the root tells when it comes */
            else
                watch->trusts = S_ISDIR(info.st_mode) && add(watch, folder, FOLDER_EVENTS) &&
                                tells_of_its_files(watch, folder);
        }
    }
}

bool mw_watch_is_quiet(const struct mw_watch *watch)
{
    char events[sizeof(struct inotify_event) + 256];
    return watch->trusts && read(watch->fd, events, sizeof(events)) < 0 && errno == EAGAIN;
}

void mw_watch_end(struct mw_watch *watch)
{
    if (watch->open)
        (void)close(watch->fd); /* only read from */
    *watch = (struct mw_watch){0};
}
