#include "process.h"

#include "base/harden.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

void process_harden(void)
{
    struct rlimit files;

    harden_memory();
    (void)signal(SIGPIPE, SIG_IGN);
    umask(027);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) { /* a connection each, and then some */
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

/* ---- user ---- */

static int parse_number(const char *text, unsigned long *ret_number)
{
    char *end;

    if (*text < '0' || *text > '9') {
        return -EINVAL;
    }
    *ret_number = strtoul(text, &end, 10);
    return *end == '\0' ? 0 : -EINVAL;
}

static int find_uid(const char *user, struct process_user *ret_user, char ret_error[512])
{
    struct passwd entry, *found = NULL;
    char buffer[4096];
    unsigned long number;

    if (getpwnam_r(user, &entry, buffer, sizeof(buffer), &found) == 0 && found != NULL) {
        ret_user->uid = entry.pw_uid;
        ret_user->gid = entry.pw_gid;
        return 0;
    }
    if (parse_number(user, &number) == 0) {
        ret_user->uid = (uid_t)number;
        ret_user->gid = (gid_t)number;
        return 0;
    }
    snprintf(ret_error, 512, "gateway.user: there is no user \"%s\"", user);
    return -EINVAL;
}

static int find_gid(const char *group, struct process_user *ret_user, char ret_error[512])
{
    struct group entry, *found = NULL;
    char buffer[4096];
    unsigned long number;

    if (getgrnam_r(group, &entry, buffer, sizeof(buffer), &found) == 0 && found != NULL) {
        ret_user->gid = entry.gr_gid;
        return 0;
    }
    if (parse_number(group, &number) == 0) {
        ret_user->gid = (gid_t)number;
        return 0;
    }
    snprintf(ret_error, 512, "gateway.group: there is no group \"%s\"", group);
    return -EINVAL;
}

int process_find_user(const char *user, const char *group, struct process_user *ret_user,
                      char ret_error[512])
{
    struct process_user found = {.uid = geteuid(), .gid = getegid(), .name = user};

    if (user != NULL && find_uid(user, &found, ret_error) != 0) {
        return -EINVAL;
    }
    if (group != NULL && find_gid(group, &found, ret_error) != 0) {
        return -EINVAL;
    }
    *ret_user = found;
    return 0;
}

static int drop(const struct process_user *user)
{
    if (user->name == NULL || (geteuid() == user->uid && getegid() == user->gid)) {
        return 0;
    }
    if (initgroups(user->name, user->gid) != 0 && setgroups(1, &user->gid) != 0) {
        return -errno;
    }
    if (setresgid(user->gid, user->gid, user->gid) != 0 ||
        setresuid(user->uid, user->uid, user->uid) != 0) {
        return -errno;
    }
    /* It must not be possible to go back. */
    return user->uid != 0 && setuid(0) == 0 ? -EPERM : 0;
}

int process_become(const struct process_user *user, char ret_error[512])
{
    int error = drop(user);

    if (error != 0) {
        snprintf(ret_error, 512,
                 "gateway.user: can't become \"%s\": %s (start as root, or leave "
                 "the setting out)",
                 user->name, strerror(-error));
        return error;
    }
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    harden_memory(); /* a change of user may have made it dumpable again */
    return 0;
}

/* ---- state directory ---- */

/* A new directory that a power cut takes away would take along what is acknowledged in it: SQLite and
 * the directory store see to what is inside only. */
static void sync_parent(int fd)
{
    int parent = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (parent >= 0) {
        (void)fsync(parent);
        close(parent);
    }
}

/* The directory around it may be the user's, who could have put a link to what is others' in its place
 * by now: root would give that away. */
static int settle_new(const char *directory, const struct process_user *user)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int error = fd < 0 ? -errno : 0;

    if (fd < 0) {
        return error;
    }
    sync_parent(fd);
    if (user->name != NULL && fchown(fd, user->uid, user->gid) != 0) {
        error = -errno;
    }
    close(fd);
    return error;
}

/* Others may pass through: members of control_group must get to the socket inside. They see no names,
 * and every file has its own mode. */
static int make_one(const char *directory, const struct process_user *user)
{
    mode_t before = umask(0);
    int error = mkdir(directory, 0751) == 0 ? 0 : -errno;

    umask(before);
    if (error != 0) {
        return error == -EEXIST ? 0 : error;
    }
    return settle_new(directory, user);
}

int process_make_directory(const char *directory, const struct process_user *user)
{
    char path[4096];
    size_t length = strlen(directory);
    int error = 0;

    if (length == 0 || length >= sizeof(path)) {
        return -ENAMETOOLONG;
    }
    memcpy(path, directory, length + 1);
    for (char *slash = strchr(path + 1, '/'); slash != NULL && error == 0;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        error = make_one(path, user);
        *slash = '/';
    }
    return error != 0 ? error : make_one(path, user);
}

static void say_who_holds(int fd, const char *directory, char ret_error[512])
{
    char pid[32] = "";
    ssize_t got = pread(fd, pid, sizeof(pid) - 1, 0);

    pid[got > 0 ? got : 0] = '\0';
    pid[strcspn(pid, "\n")] = '\0';
    snprintf(ret_error, 512, "another mllp-gateway (pid %s) works with %s already",
             pid[0] == '\0' ? "unknown" : pid, directory);
}

/* The directory may be the user's, who could put a link to a file of others there: root would empty it
 * and give it away. */
static bool is_our_lock(int fd, const struct process_user *user)
{
    struct stat status;

    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 1 &&
           (status.st_uid == 0 || status.st_uid == user->uid || status.st_uid == geteuid());
}

static int open_lock(const char *path, const struct process_user *user, char ret_error[512])
{
    /* Without O_NONBLOCK a FIFO in its place would keep the start waiting. */
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
    int error = fd < 0 ? -errno : 0;

    if (fd < 0) {
        snprintf(ret_error, 512, "can't open %.300s: %s", path, strerror(-error));
        return error;
    }
    if (!is_our_lock(fd, user)) {
        snprintf(ret_error, 512,
                 "%.300s is not a file that mllp-gateway made (a regular one, without other links, "
                 "of root or of its user): remove it",
                 path);
        close(fd);
        return -EPERM;
    }
    return fd;
}

static int take_lock(const char *path, const char *directory, const struct process_user *user,
                     int *ret_fd, char ret_error[512])
{
    char pid[32];
    int length = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
    int fd = open_lock(path, user, ret_error);
    int error;

    if (fd < 0) {
        return fd;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        say_who_holds(fd, directory, ret_error);
        close(fd);
        return -EBUSY;
    }
    if (user->name != NULL) {
        (void)!fchown(fd, user->uid, user->gid);
    }
    if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)length, 0) != length) {
        error = -errno;
        snprintf(ret_error, 512, "can't write %.300s: %s", path, strerror(errno));
        close(fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

int process_lock_state(const char *directory, const struct process_user *user, int *ret_fd,
                       char ret_error[512])
{
    char path[4096];
    int error = process_make_directory(directory, user);

    if (error != 0) {
        snprintf(ret_error, 512, "gateway.state_directory: can't make %.300s: %s", directory,
                 strerror(-error));
        return error;
    }
    if (snprintf(path, sizeof(path), "%s/lock", directory) >= (int)sizeof(path)) {
        snprintf(ret_error, 512, "gateway.state_directory: the path is too long");
        return -ENAMETOOLONG;
    }
    return take_lock(path, directory, user, ret_fd, ret_error);
}

/* ---- service manager ---- */

void process_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = path == NULL ? 0 : strlen(path);
    int fd;

    if (length < 2 || length >= sizeof(address.sun_path)) {
        return;
    }
    memcpy(address.sun_path, path, length);
    if (path[0] == '@') {
        address.sun_path[0] = '\0'; /* Linux's abstract name space */
    }
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return;
    }
    (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&address,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
    close(fd);
}

int64_t process_watchdog_ms(void)
{
    const char *microseconds = getenv("WATCHDOG_USEC");
    unsigned long value;

    if (microseconds == NULL || parse_number(microseconds, &value) != 0) {
        return 0;
    }
    return (int64_t)(value / 2000);
}
