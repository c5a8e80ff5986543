/* links: http base config */
/* A file of Google credentials, and a subject token: whatever stands in it, it is read or refused with a
 * sentence, and nothing leaks. */
#include "http/google_private.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_subject(char *json_field, struct span text)
{
    const struct google_source source = {.json_field = json_field};
    const char *words = NULL;
    char *token = NULL;

    if ((google_read_subject(&source, text, &token, &words) == 0) != (token != NULL))
        abort();
    free(token);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char field[] = "access_token";
    struct span text = span_of((const char *)data, size);
    struct google_credentials *credentials = NULL;
    char error[GOOGLE_ERROR_BYTES] = "";
    int result = google_credentials_parse("key.json", text, &credentials, error);

    if ((result == 0) != (credentials != NULL) || (result != 0 && error[0] == '\0'))
        abort();
    if (credentials != NULL && google_credentials_words(credentials)[0] == '\0')
        abort();
    google_credentials_free(&credentials);
    read_subject(NULL, text);
    read_subject(field, text);
    return 0;
}
