/* The settings of stores: one row each, as in table.c. */
#include "config/table.h"

#define DIRECTORY_STORE (1u << CONFIG_STORE_DIRECTORY)
#define HTTP_STORE (1u << CONFIG_STORE_HTTP)
#define GOOGLE_STORE (1u << CONFIG_STORE_GOOGLE)
#define HTTPS_STORE (HTTP_STORE | GOOGLE_STORE)

_Static_assert(sizeof(enum config_store_type) == sizeof(int), "enums are ints");
_Static_assert(sizeof(enum config_verdict) == sizeof(int), "enums are ints");

#define OWNER config_store
const struct setting store_settings[] = {
    {AT(name), .type = SETTING_NAME, .required = true, .help = "What routes call it."},
    {AT(type), .type = SETTING_WORD, .required = true,
     .words = WORDS("directory", "http", "google"), .later = WORDS("s3", "aidbox"),
     .help = "A directory, HL7 over HTTP, or an HL7v2 store of Google's Cloud Healthcare API."},
    {AT(batch), .type = SETTING_WORD, .words = WORDS("split", "whole"),
     .note = "directory whole, others split",
     .help = "Batches are delivered message by message, or as they came (not to google)."},
    {AT(path), .type = SETTING_PATH, .required = true, .note = "required", .only = DIRECTORY_STORE,
     .file = FILE_DIRECTORY, .help = "One file a message, readable by its owner alone."},
    {AT(group_readable), .type = SETTING_BOOL, .fallback = "false", .only = DIRECTORY_STORE,
     .help = "The files' group may read them, too: for a program that picks them up."},
    {AT(url), .type = SETTING_TEXT, .required = true, .note = "required", .only = HTTP_STORE,
     .help = "https://host[:port]/path"},
    {AT(project), .type = SETTING_TEXT, .required = true, .note = "required", .only = GOOGLE_STORE,
     .help = "The Google Cloud project of the HL7v2 store: its id or number."},
    {AT(location), .type = SETTING_TEXT, .required = true, .note = "required", .only = GOOGLE_STORE,
     .help = "The dataset's location, as \"europe-west3\"."},
    {AT(dataset), .type = SETTING_TEXT, .required = true, .note = "required", .only = GOOGLE_STORE,
     .help = "The dataset that the store is in."},
    {AT(store), .type = SETTING_TEXT, .required = true, .note = "required", .only = GOOGLE_STORE,
     .help = "The HL7v2 store."},
    {AT(endpoint), .type = SETTING_TEXT, .fallback = "https://healthcare.googleapis.com",
     .only = GOOGLE_STORE,
     .help = "Where the API is: a regional endpoint, or one of one's own (private service "
             "connect)."},
    {AT(api_version), .type = SETTING_TEXT, .fallback = "v1", .only = GOOGLE_STORE,
     .help = "Version of the API."},
    {AT(credentials), .type = SETTING_PATH, .note = "found as Google's own programs do",
     .only = GOOGLE_STORE, .file = FILE_SECRET,
     .help = "File with credentials (JSON): of a service account, a user, or an external account. "
             "Without it: GOOGLE_APPLICATION_CREDENTIALS, gcloud's own file, the metadata "
             "server."},
    {AT(token_scope), .type = SETTING_TEXT,
     .fallback = "https://www.googleapis.com/auth/cloud-healthcare", .only = GOOGLE_STORE,
     .help = "Scope of the tokens that are asked for."},
    {AT(quota_project), .type = SETTING_TEXT, .note = "none", .only = GOOGLE_STORE,
     .help = "Project whose quota is used and that is billed (X-Goog-User-Project)."},
    {AT(user_agent), .type = SETTING_TEXT, .note = "mllp-gateway/VERSION", .only = GOOGLE_STORE,
     .help = "User-Agent of requests."},
    {AT(labels), .type = SETTING_TEXTS, .note = "none", .only = GOOGLE_STORE,
     .help = "Labels that each message gets in the store: \"key=value\"."},
    {AT(maximum_request_bytes), .type = SETTING_INT64, .fallback = "10000000", .minimum = 65536,
     .maximum = FRAME_MAXIMUM, .only = GOOGLE_STORE,
     .help = "The largest request that the API takes, with what base64 and JSON add: about three "
             "quarters of it are left for a message."},
    {AT(allow_plain), .type = SETTING_BOOL, .fallback = "false", .only = HTTPS_STORE,
     .help = "Allow http: to another host than this one: messages and passwords in the clear."},
    {AT(content_type), .type = SETTING_TEXT, .fallback = "x-application/hl7-v2+er7",
     .only = HTTP_STORE, .help = "Content-Type of requests."},
    {AT(headers), .type = SETTING_TEXTS, .note = "none", .only = HTTPS_STORE,
     .help = "More headers: \"Name: value\". Secrets belong in files: the settings below."},
    {AT(username), .type = SETTING_TEXT, .note = "none", .only = HTTP_STORE,
     .help = "Basic authentication, with password_file."},
    {AT(password_file), .type = SETTING_PATH, .note = "none", .only = HTTP_STORE,
     .file = FILE_SECRET, .help = "File with that password."},
    {AT(bearer_file), .type = SETTING_PATH, .note = "none", .only = HTTP_STORE, .file = FILE_SECRET,
     .help = "File with a bearer token; read again when it changes."},
    {AT(certificate), .type = SETTING_PATH, .note = "none", .only = HTTPS_STORE,
     .file = FILE_PUBLIC, .help = "Own certificate for mutual TLS, PEM chain, with key."},
    {AT(key), .type = SETTING_PATH, .note = "none", .only = HTTPS_STORE, .file = FILE_SECRET,
     .help = "Its private key, PEM."},
    {AT(ca), .type = SETTING_PATH, .note = "the system's", .only = HTTPS_STORE, .file = FILE_PUBLIC,
     .help = "Roots that the store's certificate must chain to, PEM bundle."},
    {AT(pin), .type = SETTING_TEXT, .note = "none", .only = HTTPS_STORE,
     .help = "The store's public key, besides the chain: \"sha256//BASE64\", more with ';'."},
    {AT(proxy), .type = SETTING_TEXT, .note = "none", .only = HTTPS_STORE,
     .help = "http://host:port or https://host:port. The environment's proxies are not used."},
    {AT(proxy_username), .type = SETTING_TEXT, .note = "none", .only = HTTPS_STORE,
     .help = "The proxy's user, with proxy_password_file."},
    {AT(proxy_password_file), .type = SETTING_PATH, .note = "none", .only = HTTPS_STORE,
     .file = FILE_SECRET, .help = "File with that password."},
    {AT(oauth2_token_url), .type = SETTING_TEXT, .note = "none", .only = HTTP_STORE,
     .help = "OAuth2 client credentials: where tokens come from."},
    {AT(oauth2_client_id), .type = SETTING_TEXT, .note = "none", .only = HTTP_STORE,
     .help = "The client's id."},
    {AT(oauth2_client_secret_file), .type = SETTING_PATH, .note = "none", .only = HTTP_STORE,
     .file = FILE_SECRET, .help = "File with the client's secret."},
    {AT(oauth2_scope), .type = SETTING_TEXT, .note = "none", .only = HTTP_STORE,
     .help = "Scope to ask for."},
    {AT(oauth2_audience), .type = SETTING_TEXT, .note = "none", .only = HTTP_STORE,
     .help = "Audience to ask for."},
    {AT(connect_timeout_ms), .type = SETTING_INT64, .fallback = "10000", .minimum = 10,
     .maximum = HOUR_MS, .only = HTTPS_STORE, .help = "Name look-up, TCP and TLS."},
    {AT(attempt_timeout_ms), .type = SETTING_INT64, .fallback = "30000", .minimum = 10,
     .maximum = HOUR_MS, .only = HTTPS_STORE, .help = "One whole request; then it is tried again."},
    {AT(maximum_connections), .type = SETTING_INT, .fallback = "4", .minimum = 1, .maximum = 1024,
     .only = HTTPS_STORE, .help = "To the store's host; HTTP/2 carries many requests on each."},
    {AT(maximum_answer_bytes), .type = SETTING_INT64, .fallback = "1048576",
     .note = "1048576, google 67108864", .minimum = 1024, .maximum = FRAME_MAXIMUM,
     .only = HTTPS_STORE,
     .help =
         "Larger answers are cut off; a larger HL7 answer in a 2xx is the operator's fault. (Google sends "
         "back what it made of the message.)"},
    {.name = "verdicts",
     .offset = offsetof(struct config_store, verdicts),
     .type = SETTING_VERDICTS,
     .note = "see below",
     .only = HTTPS_STORE,
     .help = "What an HTTP status means, where it is not the usual: ( { status = 409; verdict = "
             "\"accepted\"; } )"},
};
#undef OWNER

#define OWNER config_status_verdict
const struct setting verdict_settings[] = {
    {AT(status), .type = SETTING_INT, .required = true, .minimum = 200, .maximum = 599,
     .help = "HTTP status."},
    {AT(verdict), .type = SETTING_WORD, .required = true,
     .words = WORDS("accepted", "refused", "retry", "operator"),
     .help = "Delivered; dead letter; try again; try again slowly and raise an alarm."},
};
#undef OWNER
