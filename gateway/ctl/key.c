/* mllpctl key: the spool's key file. One key a line, "NAME HEX64"; the first seals what is new, the
 * others only open what is old. */
#include "config/secret.h"
#include "ctl/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_FILE_MAXIMUM 65536
#define KEY_BYTES 32
#define KEY_NUMBER_MAXIMUM 1000000000

static const char key_help[] =
    "usage: mllpctl key new FILE\n"
    "       mllpctl key rotate FILE\n"
    "\n"
    "new     makes a spool key file (mode 0600) with one random key; never overwrites\n"
    "rotate  puts a new key first: messages from the next start on are sealed with it, older\n"
    "        ones still open with the older keys. Remove a key only when nothing sealed with\n"
    "        it is left.\n"
    "\n"
    "Without its key file a spool cannot be read: keep a copy in a safe place.\n";

/* "k3 0123…\n" in line. */
static int key_make_line(unsigned number, char line[KEY_BYTES * 2 + 32])
{
    unsigned char key[KEY_BYTES];
    int length = snprintf(line, 24, "k%u ", number);

    if (getrandom(key, sizeof key, 0) != (ssize_t)sizeof key)
        return -EIO;
    for (size_t i = 0; i < sizeof key; i++)
        length += snprintf(line + length, 3, "%02x", (unsigned)key[i]);
    line[length] = '\n';
    line[length + 1] = '\0';
    explicit_bzero(key, sizeof key);
    return 0;
}

static int key_write_all(int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, text, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -errno;
        text += written;
        length -= (size_t)written;
    }
    return 0;
}

/* The name must survive a power cut as the content does: a spool sealed with a lost key is lost. */
static int key_sync_directory(const char *path)
{
    char *copy = strdup(path);
    if (copy == NULL)
        return -ENOMEM;
    char *slash = strrchr(copy, '/');
    if (slash != NULL)
        slash[slash == copy] = '\0';
    int fd = open(slash == NULL ? "." : copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = fd < 0 ? -errno : fsync(fd) < 0 ? -errno : 0;
    if (fd >= 0)
        close(fd);
    free(copy);
    return result;
}

static int key_write_file(const char *path, const char *first, const char *rest)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    int result = key_write_all(fd, first, strlen(first));
    if (result == 0)
        result = key_write_all(fd, rest, strlen(rest));
    if (result == 0 && fsync(fd) < 0)
        result = -errno;
    close(fd);
    if (result == 0)
        result = key_sync_directory(path);
    if (result < 0)
        unlink(path);
    return result;
}

static int key_new(const char *path)
{
    char line[KEY_BYTES * 2 + 32];
    int result = key_make_line(1, line);

    if (result == 0)
        result = key_write_file(path, line, "");
    explicit_bzero(line, sizeof line);
    if (result == -EEXIST)
        return ctl_fail(CTL_REFUSED,
                        "%s: exists; not overwritten (`mllpctl key rotate` adds a key)", path);
    if (result < 0)
        return ctl_fail(CTL_REFUSED, "%s: %s", path, strerror(-result));
    printf("%s: made, one key (k1)\n", path);
    return CTL_OK;
}

/* One more than the highest "kN" of the file. */
static unsigned key_next_number(const char *text)
{
    unsigned highest = 0;

    for (const char *line = text; line != NULL && *line != '\0';) {
        unsigned long number = line[0] == 'k' ? strtoul(line + 1, NULL, 10) : 0;
        if (number > highest && number < KEY_NUMBER_MAXIMUM)
            highest = (unsigned)number;
        line = strchr(line, '\n');
        if (line != NULL)
            line++;
    }
    return highest + 1;
}

/* Owner, group and mode stay: the gateway's user must still be able to read it. */
static int key_replace(const char *path, const char *line, const char *old)
{
    char temporary[4096];
    struct stat status;

    if (stat(path, &status) < 0)
        return -errno;
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.new", path) >= sizeof temporary)
        return -ENAMETOOLONG;
    int result = key_write_file(temporary, line, old);
    if (result < 0)
        return result;
    if (chown(temporary, status.st_uid, status.st_gid) < 0 ||
        chmod(temporary, status.st_mode & 07777) < 0 || rename(temporary, path) < 0) {
        result = -errno;
        unlink(temporary);
        return result;
    }
    return key_sync_directory(path);
}

static int key_rotate(const char *path)
{
    char line[KEY_BYTES * 2 + 32], error[SECRET_ERROR_BYTES] = "", *old = NULL;
    size_t length = 0;

    if (secret_read(path, KEY_FILE_MAXIMUM, &old, &length, error) < 0)
        return ctl_fail(CTL_REFUSED, "%s", error);
    unsigned number = key_next_number(old);
    int result = key_make_line(number, line);
    if (result == 0)
        result = key_replace(path, line, old);
    explicit_bzero(line, sizeof line);
    secret_free(&old, length);
    if (result < 0)
        return ctl_fail(CTL_REFUSED, "%s: %s%s", path, strerror(-result),
                        result == -EEXIST ? " (FILE.new is left over: look at it, remove it)" : "");
    printf("%s: k%u is the first key now; restart the gateway to use it\n", path, number);
    return CTL_OK;
}

int ctl_key(int argc, char **argv)
{
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(key_help, stdout);
        return CTL_OK;
    }
    if (argc != 3)
        return ctl_usage("key", "what is wanted: new FILE, or rotate FILE?");
    if (strcmp(argv[1], "new") == 0)
        return key_new(argv[2]);
    if (strcmp(argv[1], "rotate") == 0)
        return key_rotate(argv[2]);
    return ctl_usage("key", "new or rotate, not \"%s\"", argv[1]);
}
