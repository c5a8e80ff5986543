#include "egress/credential.h"

#include "base/file_stamp.h"
#include "config/secret.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CREDENTIAL_MAXIMUM_BYTES ((size_t)16 * 1024)
#define CREDENTIAL_LOOK_MS 1000

/* Secrets travel in headers: what could end one must not be in them. */
static int credential_read(const char *path, char **ret_text, char ret_error[512])
{
    char *text = NULL;
    int result = secret_read_line(path, CREDENTIAL_MAXIMUM_BYTES, &text, ret_error);

    if (result != 0)
        return result;
    for (const char *c = text; *c != '\0'; c++) {
        if (*c > 0 && *c < ' ')
            result = -EINVAL;
    }
    if (result == 0) {
        *ret_text = text;
        return 0;
    }
    if (ret_error != NULL)
        snprintf(ret_error, 512, "%s must hold one line without control characters", path);
    secret_free(&text, strlen(text));
    return result;
}

int credential_open(struct credential *credential, const char *path, char ret_error[512])
{
    *credential = (struct credential){.path = path};
    if (path == NULL)
        return 0;
    (void)stat(path, &credential->seen);
    return credential_read(path, &credential->text, ret_error);
}

void credential_close(struct credential *credential)
{
    if (credential->text != NULL)
        secret_free(&credential->text, strlen(credential->text));
    *credential = (struct credential){0};
}

bool credential_refresh(struct credential *credential, int64_t now_ms)
{
    struct stat now;
    char *text = NULL;
    bool differs;

    if (credential->path == NULL || now_ms < credential->looked_ms + CREDENTIAL_LOOK_MS)
        return false;
    credential->looked_ms = now_ms;
    if (stat(credential->path, &now) != 0 || !file_stamp_differs(&now, &credential->seen))
        return false;
    if (credential_read(credential->path, &text, NULL) != 0)
        return false;
    credential->seen = now;
    differs = strcmp(text, credential->text) != 0;
    secret_free(&credential->text, strlen(credential->text));
    credential->text = text;
    return differs;
}
