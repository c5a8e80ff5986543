#include "admin/control_socket.h"

#include <errno.h>
#include <grp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CONTROL_BACKLOG 16

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

int control_group_find(const char *name, gid_t *ret_group, char ret_error[512])
{
    *ret_group = (gid_t)-1;
    if (name == NULL)
        return 0;
    const struct group *group = getgrnam(name); /* before any thread is started */
    if (group == NULL) {
        snprintf(ret_error, 512, "there is no group \"%s\"", name);
        return -ENOENT;
    }
    *ret_group = group->gr_gid;
    return 0;
}

/* A socket file that nobody listens on is left over from a process that was killed. */
static int socket_clear_path(const struct sockaddr_un *address, char ret_error[512])
{
    struct stat status;
    int result = 0;

    if (lstat(address->sun_path, &status) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(status.st_mode)) {
        snprintf(ret_error, 512, "%s: exists and is no socket", address->sun_path);
        return -EEXIST;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    /* EAGAIN: somebody listens, with a full queue. */
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 || errno == EAGAIN) {
        snprintf(ret_error, 512, "%s: another process listens here", address->sun_path);
        result = -EADDRINUSE;
    } else if (errno != ECONNREFUSED) {
        result = -errno;
    } else if (unlink(address->sun_path) < 0 && errno != ENOENT) {
        result = -errno;
    }
    close(fd);
    return result;
}

static int socket_listen(int fd, const struct sockaddr_un *address, gid_t group)
{
    /* Nobody gets in between bind() and chmod(). */
    mode_t before = umask(0177);
    int result = bind(fd, (const struct sockaddr *)address, sizeof *address) < 0 ? -errno : 0;

    umask(before);
    if (result < 0)
        return result;
    if (group != (gid_t)-1 && chown(address->sun_path, (uid_t)-1, group) < 0)
        result = -errno;
    if (result == 0 && chmod(address->sun_path, 0660) < 0)
        result = -errno;
    if (result == 0 && listen(fd, CONTROL_BACKLOG) < 0)
        result = -errno;
    if (result < 0)
        unlink(address->sun_path);
    return result;
}

int control_socket_open(const char *path, gid_t group, int *ret_fd, struct stat *ret_status,
                        char ret_error[512])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);

    ret_error[0] = '\0';
    if (length >= sizeof address.sun_path) {
        snprintf(ret_error, 512, "%s: a socket's path has at most %zu bytes", path,
                 sizeof address.sun_path - 1);
        return -ENAMETOOLONG;
    }
    memcpy(address.sun_path, path, length);
    int result = socket_clear_path(&address, ret_error);
    int fd = result < 0 ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (result == 0)
        result = fd < 0 ? -errno : socket_listen(fd, &address, group);
    if (result == 0 && lstat(path, ret_status) < 0)
        result = -errno;
    if (result < 0) {
        if (ret_error[0] == '\0')
            snprintf(ret_error, 512, "%s: %s", path, strerror(-result));
        if (fd >= 0)
            close(fd);
        return result;
    }
    *ret_fd = fd;
    return 0;
}

void control_socket_close(int fd, const char *path, const struct stat *status)
{
    struct stat now;

    if (fd < 0)
        return;
    close(fd);
    if (lstat(path, &now) == 0 && now.st_dev == status->st_dev && now.st_ino == status->st_ino)
        unlink(path);
}

/* The groups that the caller had when it connected, without asking a name service. */
static bool socket_peer_has_group(int fd, gid_t wanted)
{
    gid_t *groups = NULL;
    socklen_t size = 0;
    bool found = false;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) < 0 && errno != ERANGE)
        return false;
    groups = size == 0 ? NULL : malloc(size);
    if (groups != NULL && getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) == 0)
        for (size_t i = 0; i < size / sizeof *groups; i++)
            found |= groups[i] == wanted;
    free(groups);
    return found;
}

int control_identify(int fd, gid_t operator_gid, struct control_caller *ret_caller)
{
    struct ucred credentials;
    socklen_t size = sizeof credentials;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
        return -errno;
    bool in_group = operator_gid != (gid_t)-1 &&
                    (credentials.gid == operator_gid || socket_peer_has_group(fd, operator_gid));
    *ret_caller = (struct control_caller){
        .uid = credentials.uid,
        .pid = credentials.pid,
        .operator= credentials.uid == 0 || in_group,
    };
    return 0;
}
