// What nginx/edge.conf asks of njs: whether an address is signed (the token's form is in
// src/service/streaming/edge_token.h), what it is without its token, and what was purged.
import crypto from 'crypto';
import fs from 'fs';

const ADDRESS = new RegExp('^/m/([0-9]{1,15})~([1-9][0-9]{0,18})\\.([1-9][0-9]{0,9})\\.(96|160|320|lossless)~([0-9a-f]{64})' +
    '/([1-9][0-9]{0,18})/([1-9][0-9]{0,9})/([A-Za-z0-9][A-Za-z0-9._-]{0,63})(?:\\?|$)');
const PURGE = new RegExp('^/m/([1-9][0-9]{0,18})/(?:([1-9][0-9]{0,9})/)?$');
const CEILINGS = ['96', '160', '320', 'lossless'];
const RATED = new RegExp('^(?:aac|mp3|opus|vorbis|hls|dash)-(96|160|320)(?:\\.|$)');
const ORIGIN_LIFE_S = 8 * 3600; // a slow listener's last slice is asked for long after the first
const TYPES = {wav: 'audio/wav', flac: 'audio/flac', aiff: 'audio/aiff', aif: 'audio/aiff', mp3: 'audio/mpeg',
    aac: 'audio/aac', m4a: 'audio/mp4', mp4: 'audio/mp4', alac: 'audio/mp4', wv: 'audio/x-wavpack',
    ogg: 'audio/ogg', oga: 'audio/ogg', opus: 'audio/ogg'};

function hmac(key, text) {
    return crypto.createHmac('sha256', key).update(text).digest('hex');
}

// Strings are compared byte by byte, so how long it takes tells how far a guess is right. Therefore the HMACs of the
// guess and of what is right are compared: how far those agree tells a stranger nothing.
function is_signed(text, given) {
    const blinded = hmac(edge_keys[0], given);
    return blinded === hmac(edge_keys[0], hmac(edge_keys[0], text)) ||
        blinded === hmac(edge_keys[0], hmac(edge_keys[1], text));
}

// The lowest ceiling under which a file may be had; names that are not known count as lossless.
function ceiling_of(file) {
    const rate = RATED.exec(file);
    return CEILINGS.indexOf(rate ? rate[1] : 'lossless');
}

// The address without its token, the cache's key; "" for one that is not good.
function path(r) {
    const part = ADDRESS.exec(r.variables.request_uri);
    if (!part || part[2] !== part[6] || part[3] !== part[7] || Number(part[1]) * 1000 <= Date.now() ||
        ceiling_of(part[8]) > CEILINGS.indexOf(part[4]) ||
        !is_signed(`${part[1]}~${part[2]}.${part[3]}.${part[4]}`, part[5])) {
        return '';
    }
    return `/m/${part[6]}/${part[7]}/${part[8]}`;
}

// The path to ask the origin for, with a token of our own where it wants one.
function origin(r) {
    const clean = r.variables.edge_file;
    if (r.variables.edge_kind !== 'tutti') {
        return r.variables.edge_prefix + clean;
    }
    const part = clean.split('/');
    const grant = `${Math.floor(Date.now() / 1000) + ORIGIN_LIFE_S}~${part[2]}.${part[3]}.lossless`;
    return `${r.variables.edge_prefix}/m/${grant}~${hmac(edge_keys[0], grant)}${clean.substring(2)}`;
}

// When the track and its version were purged last: a part of the cache's key, so that one small file forgets all
// slices of all files at once.
function purged(r, name) {
    try {
        return fs.statSync(`${r.variables.edge_purged}/${name}`).mtimeMs;
    } catch (e) {
        return 0;
    }
}

function epoch(r) {
    const part = r.variables.edge_file.split('/');
    return `${purged(r, part[2])}.${purged(r, part[2] + '.' + part[3])}`;
}

// Forgets all of a track, or of one of its versions. Whoever comes through a proxy comes from the world.
function purge(r) {
    const part = PURGE.exec(r.variables.request_uri);
    if (!part || r.headersIn['X-Forwarded-For']) {
        r.return(part ? 403 : 400);
        return;
    }
    fs.writeFileSync(`${r.variables.edge_purged}/${part[1]}${part[2] ? '.' + part[2] : ''}`, `${Date.now()}\n`);
    r.return(200);
}

// An original has the type that its uploader named; here it gets one by its name, so that no upload becomes a page.
function original(r) {
    const name = r.variables.edge_file;
    const extension = name.substring(name.lastIndexOf('.') + 1).toLowerCase();
    r.headersOut['Content-Type'] = TYPES[extension] || 'application/octet-stream';
}

export default {path, origin, epoch, purge, original};
