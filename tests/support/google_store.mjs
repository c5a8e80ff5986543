// A stand-in for Google Cloud's HL7v2 store (Healthcare API, projects.locations.datasets.hl7V2Stores), for the token
// endpoints and for the metadata server, for tests only.
//
// Why: the real ones want a project, an account and the Internet, and they cannot be told to fail. What they answer was
// taken from Google's reference pages (REST v1: hl7V2Stores, messages.ingest, .create, .get; OAuth2 for service accounts,
// Security Token Service, IAM credentials, metadata server) and from what Google's own adapter (GoogleCloudPlatform/mllp)
// sends and reads; tests/system/test-google-client holds it against Google's own Node client. Not established by any of
// these and therefore a guess: the words of errors, a NACK's code (AE here) and its ERR, and that a request over the limit
// gets 413 and a page.
//
//   node google_store.mjs --certificate F --key F [--client-ca F] [--directory D] [--credentials D] [--script F] [--proxy]
//
// HTTP/2 and HTTP/1.1 over TLS on one free port of 127.0.0.1 ("port N"), the same without TLS on another ("plain N", for
// the metadata server and for control), then "ready". Ends when its standard input ends. Certificates are the test's.
// --proxy        also a CONNECT proxy ("proxy N") that leads port 443 of all that ends in .googleapis.com here and nowhere
//                else, so that clients may keep Google's names; credential files then name those, too
// --client-ca    clients on the TLS port must show a certificate of that CA
// --directory    each request leaves NNNN.json (method, url, headers, version, client's CN) and NNNN.body there before it
//                is answered, NNNN.hl7 (what was in "data") with ingest and create, NNNN.gone if it was cancelled
// --credentials  writes credential files there, with keys made now (google_store_tokens.mjs has their names)
// --script       control's JSON in a file, taken at the start
//
// Control: POST /control with JSON, each part optional; GET /control tells what is there.
//   {"stores": {"NAME": {"rejectDuplicateMessage": true, "members": ["a@b"], "steps": ["503", "ok"]}},
//    "steps": {"token": [...], "sts": [...], "impersonation": [...], "metadata": [...], "subject": [...]},
//    "lifetime": 3600, "revoke": true, "subjects": ["..."]}
// NAME is short for projects/project/locations/europe-west6/datasets/dataset/hl7V2Stores/NAME; the store is there from then
// on. members: accounts with the role (default: all). lifetime: of tokens given from now on; revoke: none is valid any more.
// A step answers one request to that store or endpoint, the last one all that follow; without steps all is "ok".
// A step is one of these, after any number of "delay:MS+", "header:NAME=VALUE+" (URL-encoded value) and "stored+" (the
// message is taken in before the fault, as when only the answer gets lost):
//   ok                    as the contract says
//   401 403 404 503 ...   Google's JSON for that status ("409:ABORTED": with that word)
//   html:502 bare:503     that status with a page, without a body
//   nack:AE               400 with an hl7Nack     nack:AR:409   with that status
//   nack-first            200 and hl7Ack, but MSA-1 is AE
//   no-ack empty-ack      200 without an hl7Ack, with an empty one
//   framed cut            an hl7Ack within MLLP framing; one with FS CR and VT in its MSA-3
//   foreign foreign-nack  MSA-2 is another message's
//   broken-json broken-base64 broken-nack not-hl7   200 (broken-nack: 400) that cannot be read
//   no-token              200 without an access_token (token endpoints)
//   huge:64               200 with so many MB
//   hang                  no answer ever
//   drop drop-early       the connection ends within the answer, before it
// All that a store or endpoint says of its own has a word that begins with "canary-", for tests that look for it.
import fs from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { HttpError, Stores } from './google_store_messages.mjs';
import { Tokens } from './google_store_tokens.mjs';

const LIMIT_BYTES = 10_000_000; // of a request
const { values: options } = parseArgs({
    options: {
        certificate: { type: 'string' }, key: { type: 'string' }, 'client-ca': { type: 'string' },
        directory: { type: 'string' }, credentials: { type: 'string' }, script: { type: 'string' },
        proxy: { type: 'boolean', default: false },
    },
});

const tokens = new Tokens();
const stores = new Stores(tokens);
const scripts = new Map(); // a store's full name, or an endpoint's: what is left of its steps
let records = 0;

const page = (status) => `<!DOCTYPE html><html><title>Error ${status}</title><p>canary-html ${status}</html>`;

function send(response, status, type, body, headers) {
    response.writeHead(status, { ...(type ? { 'content-type': type } : {}), ...headers });
    response.end(body);
}

function sendJson(response, status, value, headers) {
    send(response, status, 'application/json; charset=UTF-8', JSON.stringify(value, null, 2), headers);
}

function cut(request) {
    if (request.stream) request.stream.session?.destroy();
    else request.socket.destroy();
}

function sendHuge(response, megabytes, headers) {
    const piece = Buffer.alloc(65536, ' ');
    let left = megabytes * 16;
    response.writeHead(200, { 'content-type': 'application/json', ...headers });
    const more = () => {
        while (left-- > 0)
            if (!response.write(piece)) return void response.once('drain', more);
        response.end('{}');
    };
    response.on('error', () => { left = 0; });
    more();
}

// What a step that is about transport does; false when it is about the answer's content.
function actOnConnection(word, argument, request, response, headers) {
    switch (word) {
        case 'hang': return true;
        case 'html': send(response, Number(argument), 'text/html; charset=UTF-8', page(argument), headers); return true;
        case 'bare': send(response, Number(argument), undefined, undefined, headers); return true;
        case 'huge': sendHuge(response, Number(argument), headers); return true;
        case 'broken-json': send(response, 200, 'application/json', '{"hl7Ack": "TVNIfF5', headers); return true;
        case 'drop-early': cut(request); return true;
        case 'drop':
            response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000', ...headers });
            response.write('{"hl7Ack": "', () => setTimeout(() => cut(request), 50));
            return true;
        default: return false;
    }
}

function act(step, request, response, headers, target) {
    const [word, argument] = step.split(/:(.*)/s);
    if (actOnConnection(word, argument, request, response, headers)) return;
    try {
        if (/^\d{3}$/.test(word)) throw target.error(Number(word), argument);
        const value = target.answer(word, argument);
        if (typeof value === 'string') send(response, 200, 'text/plain', value, headers);
        else sendJson(response, 200, value, { ...target.headers, ...headers });
    } catch (error) {
        if (!(error instanceof HttpError)) throw error;
        sendJson(response, error.status, error.body(request.headers), { ...error.headers, ...headers });
    }
}

function run(step, request, response, target) {
    const headers = {};
    let delay = 0;
    for (let match; (match = /^(delay|header):([^+]*)\+(.*)$|^(stored)\+(.*)$/s.exec(step)); step = match[3] ?? match[5]) {
        if (match[4]) target.take?.();
        else if (match[1] === 'delay') delay = Number(match[2]);
        else headers[match[2].split('=')[0]] = decodeURIComponent(match[2].split('=')[1]);
    }
    if (delay === 0) act(step, request, response, headers, target);
    else setTimeout(() => act(step, request, response, headers, target), delay);
}

function nextStep(name) {
    const steps = scripts.get(name) ?? ['ok'];
    return steps.length > 1 ? steps.shift() : steps[0];
}

function record(request, data) {
    if (!options.directory) return;
    const name = path.join(options.directory, String(++records).padStart(4, '0'));
    const peer = (request.stream?.session?.socket ?? request.socket).getPeerCertificate?.();
    fs.writeFileSync(`${name}.body`, request.received);
    if (data) fs.writeFileSync(`${name}.hl7`, data);
    fs.writeFileSync(`${name}.json.new`, JSON.stringify({
        method: request.method, url: request.url, version: request.httpVersion, headers: request.headers,
        client: peer?.subject?.CN ?? null,
    }));
    fs.renameSync(`${name}.json.new`, `${name}.json`);
    (request.stream ?? request).on('aborted', () => fs.writeFileSync(`${name}.gone`, ''));
}

function control(request, response) {
    if (request.method === 'POST') take(JSON.parse(request.received));
    sendJson(response, 200, { stores: stores.list(), tokens: tokens.counts });
}

function take(wanted) {
    for (const [name, store] of Object.entries(wanted.stores ?? {})) {
        const full = stores.add(name, store);
        if (store.steps) scripts.set(full, [...store.steps]);
    }
    for (const [name, steps] of Object.entries(wanted.steps ?? {})) scripts.set(name, [...steps]);
    tokens.set(wanted);
}

// The request's target: {name, answer(word, argument), error(status, word), headers?, take?(), data?}
function answer(request, response) {
    const url = new URL(request.url, 'https://stand-in');
    if (url.pathname === '/control') return control(request, response);
    const target = tokens.target(request, url) ?? stores.target(request, url);
    record(request, target?.data);
    if (!target) return send(response, 404, 'text/html; charset=UTF-8', page(404));
    return run(nextStep(target.name), request, response, target);
}

function onRequest(request, response) {
    const pieces = [];
    let length = 0;
    response.on('error', () => {});
    request.on('error', () => {});
    request.on('data', (piece) => {
        length += piece.length;
        if (length <= LIMIT_BYTES) pieces.push(piece);
    });
    request.on('end', () => {
        // A body that was cut off by the sender's end is no request.
        if (length < Number(request.headers['content-length'] ?? 0)) return;
        request.received = Buffer.concat(pieces);
        if (length <= LIMIT_BYTES) return void answer(request, response);
        record(request);
        send(response, 413, 'text/html; charset=UTF-8', page(413));
    });
}

function makeProxy(port) {
    const proxy = http.createServer((request, response) => send(response, 405));
    proxy.on('connect', (request, socket, head) => {
        socket.on('error', () => {});
        if (!/^[a-z0-9.-]+\.googleapis\.com:443$/.test(request.url)) return socket.end('HTTP/1.1 403 No\r\n\r\n');
        const onward = net.connect(port, '127.0.0.1', () => {
            socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
            onward.write(head);
            onward.pipe(socket).pipe(onward);
        });
        socket.on('close', () => onward.destroy());
        onward.on('error', () => socket.destroy());
        return undefined;
    });
    return proxy;
}

async function listen(made) {
    await new Promise((resolve) => { made.listen(0, '127.0.0.1', resolve); });
    return made.address().port;
}

const plain = http.createServer(onRequest);
const server = http2.createSecureServer({
    cert: fs.readFileSync(options.certificate), key: fs.readFileSync(options.key), allowHTTP1: true,
    ...(options['client-ca']
        ? { ca: fs.readFileSync(options['client-ca']), requestCert: true, rejectUnauthorized: true } : {}),
}, onRequest);
server.on('sessionError', () => {});
server.on('tlsClientError', () => {});
const port = await listen(server);
const ports = { port, plain: await listen(plain), ...(options.proxy ? { proxy: await listen(makeProxy(port)) } : {}) };
if (options.credentials) tokens.writeCredentials(options.credentials, options.proxy ? null : `https://localhost:${port}`);
if (options.script) take(JSON.parse(fs.readFileSync(options.script, 'utf8')));
for (const [name, number] of Object.entries(ports)) console.log(`${name} ${number}`);
console.log('ready');
process.stdin.on('end', () => process.exit(0));
process.stdin.resume();
