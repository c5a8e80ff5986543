// A stand-in for HTTP stores' faults, for tests only: it answers as the URL says, also wrongly, late or not at all.
// It is no model of a real store and no measure of speed: real HTTP/2 servers (nginx, nghttpd) are tested besides.
//
//   node http2_store.mjs --certificate F --key F [--client-ca F] [--http1] [--directory D]
//                        [--proxy [--proxy-user U:P] [--proxy-status N]] [--plain]
//
// HTTP/2 over TLS (HTTP/1.1 for clients that ask for it; --http1: that alone) on a free port of 127.0.0.1. Prints
// "port N", with --proxy also "proxy N" (a CONNECT proxy), with --plain "plain N" (the same without TLS), then "ready".
// Ends when its standard input ends.
// --client-ca: clients must show a certificate of that CA. --directory: each request leaves NNNN.json (method, url,
// headers, version, client's CN) and NNNN.body there before it is answered, and NNNN.gone if it was cancelled.
//
// What it does stands in the URL (or, for clients that make the URL themselves, in the file "steps" of --directory):
// /any/name?steps=A,B,C. The first request to that URL gets A, the second B, from the
// third on C. A step is one of these, after any number of "delay:MS+", "header:NAME=VALUE+" (URL-encoded value) and
// "status:N+" (for json):
//   204  503  ...         that status, no body         503:json 200:html 200:text   with such a body
//   AA AE AR CA CE CR     200, an HL7 answer with the request's MSH-10 (negative ones with ERR 207)
//   foreign:AA            the same with another message's MSH-10
//   framed:AA             the same within MLLP framing
//   batch:AA              an answer for each message of the request, in a BHS envelope
//   untyped:AA            the same with content type text/plain
//   garbage               200, content type HL7, body unreadable
//   broken                200, content type text/plain, body "MSH" and then nonsense
//   hang                  no answer ever               silence   HTTP/1.1: the connection is never read again, too
//   drop                  the connection ends half-way through the answer
//   drop-early            the connection ends before an answer
//   reset                 HTTP/2: RST_STREAM(INTERNAL_ERROR)
//   refuse                HTTP/2: RST_STREAM(REFUSED_STREAM)
//   goaway                AA, then GOAWAY              goaway-first   GOAWAY, then AA
//   early:503             answers before it reads the body
//   huge:64               200 with so many MB          huge-hl7:64    the same as HL7
//   redirect              302 to /elsewhere
//   token:SECONDS         an OAuth2 answer: "token-N", N counts
//   token-error:WORD      400 with that OAuth2 error   json:TEXT      200, or status:N+, with that JSON (URL-encoded)
//   hl7:TEXT              200 with that HL7 text (URL-encoded), "{id}" in it being the request's MSH-10
//   bearer:TOKEN          AA when that is the token, else 401
import fs from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import path from 'node:path';
import { parseArgs } from 'node:util';

const HL7 = 'x-application/hl7-v2+er7';
const { values: options } = parseArgs({
    options: {
        certificate: { type: 'string' }, key: { type: 'string' }, 'client-ca': { type: 'string' },
        http1: { type: 'boolean', default: false }, directory: { type: 'string' },
        proxy: { type: 'boolean', default: false }, 'proxy-user': { type: 'string' },
        'proxy-status': { type: 'string' }, plain: { type: 'boolean', default: false },
    },
});

const turns = new Map(); // URL -> requests so far
let records = 0;
let acknowledgments = 0;
let tokens = 0;

function messageIds(body) {
    const text = body.toString('latin1');
    const ids = [];
    for (const segment of text.split(/[\r\n]+/))
        if (segment.startsWith('MSH')) ids.push(segment.split(segment[3])[9] ?? '');
    return ids;
}

function acknowledgment(code, id) {
    let text = `MSH|^~\\&|STORE|CLOUD|GW|EDGE|20260101000000||ACK|S${++acknowledgments}|P|2.5\rMSA|${code}|${id}\r`;
    if (code[1] !== 'A') text += 'ERR||PID^1^5^1^2|207^Application internal error^HL70357|E||||canary-text\r';
    return text;
}

function hl7Answer(kind, code, body) {
    const ids = messageIds(body);
    if (kind === 'foreign') return acknowledgment(code, 'NOT-YOURS');
    if (kind === 'framed') return `\x0b${acknowledgment(code, ids[0])}\x1c\r`;
    if (kind === 'batch')
        return `BHS|^~\\&|STORE\r${ids.map((id) => acknowledgment(code, id)).join('')}BTS|${ids.length}\r`;
    return acknowledgment(code, ids[0] ?? '');
}

function cut(request) {
    if (request.stream) request.stream.session?.destroy();
    else request.socket.destroy();
}

function send(response, status, type, body, headers) {
    response.writeHead(status, { ...(type ? { 'content-type': type } : {}), ...headers });
    response.end(body);
}

const bodies = {
    json: ['application/json', '{"resourceType":"OperationOutcome","text":"canary-json"}'],
    html: ['text/html', '<html><body>canary-html</body></html>'],
    text: ['text/plain', 'canary-text'],
};

function sendHuge(request, response, type, megabytes, headers) {
    response.writeHead(200, { 'content-type': type, ...headers });
    const piece = Buffer.alloc(65536, 'x');
    let left = megabytes * 16;
    if (type === HL7) response.write('MSH|^~\\&|');
    const more = () => {
        while (left-- > 0)
            if (!response.write(piece)) return void response.once('drain', more);
        response.end();
    };
    response.on('error', () => { left = 0; });
    more();
}

function answerToken(request, response, word, argument, headers) {
    if (word === 'token')
        send(response, 200, 'application/json', JSON.stringify({
            access_token: `token-${++tokens}`, token_type: 'Bearer', expires_in: Number(argument),
        }), headers);
    else if (word === 'token-error')
        send(response, 400, 'application/json', JSON.stringify({ error: argument }), headers);
    else if (request.headers.authorization === `Bearer ${argument}`)
        send(response, 200, HL7, acknowledgment('AA', messageIds(request.received)[0]), headers);
    else
        send(response, 401, undefined, undefined, headers);
}

function act(step, request, response, headers, status) {
    const [word, argument] = step.split(/:(.*)/s);
    const body = request.received;
    if (/^\d{3}$/.test(word)) {
        const [type, text] = bodies[argument] ?? [];
        return send(response, Number(word), type, text, headers);
    }
    if (/^[AC][AER]$/.test(word)) return send(response, 200, HL7, hl7Answer('', word, body), headers);
    switch (word) {
        case 'foreign': case 'framed': case 'batch':
            return send(response, 200, HL7, hl7Answer(word, argument, body), headers);
        case 'untyped': return send(response, 200, 'text/plain', hl7Answer('', argument, body), headers);
        case 'garbage': return send(response, 200, HL7, '\x00\x01 nothing of the kind', headers);
        case 'broken': return send(response, 200, 'text/plain', 'MSH is not what this is', headers);
        case 'hang': return undefined;
        case 'silence':
            if (!request.stream) request.socket.pause(); // HTTP/2 sockets are node's own
            return undefined;
        case 'drop':
            response.writeHead(200, { 'content-type': 'text/plain', 'content-length': '1000', ...headers });
            response.write('half', () => setTimeout(() => cut(request), 50));
            return undefined;
        case 'drop-early': return cut(request);
        case 'reset': return request.stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
        case 'refuse': return request.stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
        case 'goaway':
            send(response, 200, HL7, hl7Answer('', 'AA', body), headers);
            return request.stream.session.goaway();
        case 'goaway-first':
            request.stream.session.goaway();
            return setTimeout(() => send(response, 200, HL7, hl7Answer('', 'AA', body), headers), 50);
        case 'huge': return sendHuge(request, response, 'text/plain', Number(argument), headers);
        case 'huge-hl7': return sendHuge(request, response, HL7, Number(argument), headers);
        case 'redirect': return send(response, 302, undefined, undefined, { location: '/elsewhere', ...headers });
        case 'hl7':
            return send(response, 200, HL7, decodeURIComponent(argument).replace('{id}', messageIds(body)[0] ?? ''), headers);
        case 'json': return send(response, status, 'application/json', decodeURIComponent(argument), headers);
        case 'token': case 'token-error': case 'bearer':
            return answerToken(request, response, word, argument, headers);
        default: return send(response, 599, 'text/plain', `unknown step ${step}`, headers);
    }
}

function run(step, request, response) {
    const headers = {};
    let delay = 0;
    let status = 200;
    for (let match; (match = /^(delay|header|status):([^+]*)\+(.*)$/s.exec(step)); step = match[3]) {
        if (match[1] === 'delay') delay = Number(match[2]);
        else if (match[1] === 'status') status = Number(match[2]);
        else headers[match[2].split('=')[0]] = decodeURIComponent(match[2].split('=')[1]);
    }
    setTimeout(() => act(step, request, response, headers, status), delay);
}

function stepsOfFile() {
    const file = path.join(options.directory ?? '', 'steps');
    return options.directory && fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '200';
}

function nextStep(url) {
    const steps = (/[?&]steps=([^&]*)/.exec(url)?.[1] ?? stepsOfFile()).split(',');
    const turn = turns.get(url) ?? 0;
    turns.set(url, turn + 1);
    return steps[Math.min(turn, steps.length - 1)];
}

function record(request) {
    if (!options.directory) return;
    const name = path.join(options.directory, String(++records).padStart(4, '0'));
    const peer = (request.stream?.session?.socket ?? request.socket).getPeerCertificate?.();
    fs.writeFileSync(`${name}.body`, request.received);
    fs.writeFileSync(`${name}.json.new`, JSON.stringify({
        method: request.method, url: request.url, version: request.httpVersion, headers: request.headers,
        client: peer?.subject?.CN ?? null,
    }));
    fs.renameSync(`${name}.json.new`, `${name}.json`);
    (request.stream ?? request).on('aborted', () => fs.writeFileSync(`${name}.gone`, ''));
}

function onRequest(request, response) {
    const step = nextStep(request.url);
    const early = /^early:(\d+)$/.exec(step);
    const pieces = [];
    response.on('error', () => {});
    request.on('error', () => {});
    if (early) return send(response, Number(early[1]));
    request.on('data', (piece) => pieces.push(piece));
    request.on('end', () => {
        request.received = Buffer.concat(pieces);
        // A body that was cut off by the sender's end is no request.
        if (request.received.length < Number(request.headers['content-length'] ?? 0)) return;
        record(request);
        run(step, request, response);
    });
    return undefined;
}

function startProxy(ready) {
    const proxy = http.createServer((request, response) => send(response, 405));
    const wanted = options['proxy-user'] && `Basic ${Buffer.from(options['proxy-user']).toString('base64')}`;
    proxy.on('connect', (request, socket, head) => {
        socket.on('error', () => {});
        if (options['proxy-status']) return socket.end(`HTTP/1.1 ${options['proxy-status']} No\r\n\r\n`);
        if (wanted && request.headers['proxy-authorization'] !== wanted)
            return socket.end('HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm="test"\r\n\r\n');
        const [host, port] = request.url.split(':');
        const onward = net.connect(Number(port), host, () => {
            socket.write('HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n');
            onward.write(head);
            onward.pipe(socket).pipe(onward);
        });
        onward.on('error', () => socket.destroy());
        return undefined;
    });
    proxy.listen(0, '127.0.0.1', () => {
        console.log(`proxy ${proxy.address().port}`);
        ready();
    });
}

function startPlain(ready) {
    const plain = http.createServer(onRequest);
    plain.listen(0, '127.0.0.1', () => {
        console.log(`plain ${plain.address().port}`);
        ready();
    });
}

const tls = {
    cert: fs.readFileSync(options.certificate), key: fs.readFileSync(options.key), allowHTTP1: true,
    ...(options['client-ca']
        ? { ca: fs.readFileSync(options['client-ca']), requestCert: true, rejectUnauthorized: true } : {}),
};
const server = options.http1 ? https.createServer(tls, onRequest) : http2.createSecureServer(tls, onRequest);
server.on('sessionError', () => {});
server.on('tlsClientError', () => {});
server.listen(0, '127.0.0.1', () => {
    console.log(`port ${server.address().port}`);
    const ready = () => console.log('ready');
    const more = () => (options.plain ? startPlain(ready) : ready());
    if (options.proxy) startProxy(more);
    else more();
});
process.stdin.on('end', () => process.exit(0));
process.stdin.resume();
