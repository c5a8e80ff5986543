#include "certs/pem.h"

#include <errno.h>
#include <fcntl.h>
#include <mbedtls/error.h>
#include <mbedtls/pem.h>
#include <mbedtls/platform_util.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_all(int fd, unsigned char *data, size_t size, size_t *ret_length)
{
    size_t length = 0;
    while (length < size) {
        ssize_t got = read(fd, data + length, size - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        length += (size_t)got;
    }
    *ret_length = length;
    return 0;
}

/* A SEQUENCE's tag and its length, which PEM's text ("0" could only begin a comment) can't be. */
static bool looks_like_der(const struct pem_file *file)
{
    return file->length > 2 && file->data[0] == 0x30 &&
           (file->data[1] >= 0x80 || file->length == 2 + (size_t)file->data[1]);
}

static int look_at(struct pem_file *file, char error[PEM_ERROR_MAX])
{
    const char *problem = NULL;
    file->is_der = looks_like_der(file);
    if (file->length == 0)
        problem = "is empty";
    else if (!file->is_der && memchr(file->data, 0, file->length) != NULL)
        problem = "holds NUL bytes: is it UTF-16? Save it as plain text (PEM)";
    if (problem == NULL)
        return 0;
    snprintf(error, PEM_ERROR_MAX, "%s", problem);
    return -EINVAL;
}

int pem_read(const char *path, struct pem_file *ret_file, char ret_error[PEM_ERROR_MAX])
{
    struct pem_file file = {0};
    struct stat status;
    size_t size = 0;
    int result = 0;
    /* Not to hang on a FIFO that somebody named by mistake. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) < 0) {
        result = -errno;
        snprintf(ret_error, PEM_ERROR_MAX, "cannot be opened: %s", strerror(-result));
        goto out;
    }
    if (!S_ISREG(status.st_mode) || status.st_size > PEM_FILE_MAX) {
        result = -EINVAL;
        snprintf(ret_error, PEM_ERROR_MAX, "%s",
                 S_ISREG(status.st_mode) ? "is larger than 64 MiB" : "is not a file");
        goto out;
    }
    size = (size_t)status.st_size;
    file.data = calloc(1, size + 1);
    result = file.data == NULL ? -ENOMEM : read_all(fd, file.data, size, &file.length);
    if (result < 0)
        snprintf(ret_error, PEM_ERROR_MAX, "cannot be read: %s", strerror(-result));
    else
        result = look_at(&file, ret_error);
out:
    if (fd >= 0)
        close(fd);
    if (result < 0)
        pem_free(&file);
    else
        *ret_file = file;
    return result;
}

void pem_free(struct pem_file *file)
{
    if (file->data != NULL)
        mbedtls_platform_zeroize(file->data, file->length);
    free(file->data);
    *file = (struct pem_file){0};
}

void pem_mbedtls_error(int error, char *ret_text, size_t size)
{
    const char *words = mbedtls_low_level_strerr(error);
    if (words == NULL || words[0] == '\0')
        words = mbedtls_high_level_strerr(error);
    if (words == NULL)
        words = "unknown error";
    const char *colon = strstr(words, " - ");
    snprintf(ret_text, size, "%s (mbedTLS -0x%04x)", colon == NULL ? words : colon + 3,
             (unsigned)-error);
}

/* What else the file holds, for the message: the name of its first block. */
static void none_found(const struct pem_file *file, const char *name, char error[PEM_ERROR_MAX])
{
    const char *begin = strstr((const char *)file->data, "-----BEGIN ");
    const char *end = begin == NULL ? NULL : strstr(begin + 11, "-----");
    if (end != NULL && end - begin < 60)
        snprintf(error, PEM_ERROR_MAX, "holds a %.*s but no %s", (int)(end - begin - 11),
                 begin + 11, name);
    else
        snprintf(error, PEM_ERROR_MAX, "holds no %s (neither PEM nor DER)", name);
}

int pem_each(const struct pem_file *file, const char *name, pem_each_callback *each, void *context,
             char ret_error[PEM_ERROR_MAX])
{
    if (file->is_der)
        return each(context, 1, file->data, file->length);
    char header[64], footer[64], why[128];
    snprintf(header, sizeof header, "-----BEGIN %s-----", name);
    snprintf(footer, sizeof footer, "-----END %s-----", name);
    const unsigned char *at = file->data;
    for (size_t number = 1;; number++) {
        mbedtls_pem_context block;
        size_t used = 0;
        mbedtls_pem_init(&block);
        int result = mbedtls_pem_read_buffer(&block, header, footer, at, NULL, 0, &used);
        if (result == MBEDTLS_ERR_PEM_NO_HEADER_FOOTER_PRESENT && number > 1 &&
            strstr((const char *)at, header) == NULL)
            return 0;
        if (result == MBEDTLS_ERR_PEM_NO_HEADER_FOOTER_PRESENT && number == 1 &&
            strstr((const char *)at, header) == NULL) {
            none_found(file, name, ret_error);
            return -ENOENT;
        }
        if (result != 0) {
            pem_mbedtls_error(result, why, sizeof why);
            snprintf(ret_error, PEM_ERROR_MAX, "%s %zu is broken PEM: %s", name, number, why);
            return -EINVAL;
        }
        size_t length;
        const unsigned char *der = mbedtls_pem_get_buffer(&block, &length);
        result = each(context, number, der, length);
        mbedtls_pem_free(&block); /* wipes it */
        if (result != 0)
            return result;
        at += used;
    }
}
