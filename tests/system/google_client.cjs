// Google's own client for the Healthcare API (and google-auth-library with it), for tests/system/test-google-client:
//   node google_client.cjs < REQUESTS
// Standard input: a JSON array of {"method": "ingest"|"create"|"get"|"store", "name": "projects/…", "data": base64,
// "labels": {}, "view": "RAW_ONLY", "format": "2", "http2": true, "root": URL}. Prints one line of JSON for each, in
// order: {"status", "data"} or {"status", "error"}. Nothing about the server is told to the library but by the
// environment: HTTPS_PROXY, GOOGLE_APPLICATION_CREDENTIALS, GCE_METADATA_HOST.
const fs = require('node:fs');
const { healthcare } = require('@googleapis/healthcare');
const { GoogleAuth } = require('google-auth-library');

const auth = new GoogleAuth({ scopes: ['https://www.googleapis.com/auth/cloud-healthcare'] });

function call({ method, name, data, labels, view, format, root, http2 }) {
    const stores = healthcare({ version: 'v1', auth }).projects.locations.datasets.hl7V2Stores;
    const options = {
        retry: false, ...(format ? { headers: { 'X-Goog-Api-Format-Version': format } } : {}),
        ...(root ? { rootUrl: root } : {}), ...(http2 ? { http2: true } : {}),
    };
    const requestBody = { message: { data, ...(labels ? { labels } : {}) } };
    switch (method) {
        case 'ingest': return stores.messages.ingest({ parent: name, requestBody }, options);
        case 'create': return stores.messages.create({ parent: name, requestBody }, options);
        case 'get': return stores.messages.get({ name, view }, options);
        default: return stores.get({ name }, options);
    }
}

async function main() {
    for (const request of JSON.parse(fs.readFileSync(0, 'utf8'))) {
        try {
            const answer = await call(request);
            console.log(JSON.stringify({ status: answer.status, data: answer.data }));
        } catch (error) {
            const { status = null, data = String(error) } = error.response ?? {};
            console.log(JSON.stringify({ status, error: data }));
        }
    }
    process.exit(0); // an HTTP/2 session stays open
}
main();
