// A reporter for node:test that writes JUnit XML: Node 18 has none of its own.
import { basename } from 'node:path';

const escaped = (text) =>
  String(text).replace(/[<>&"]/g, (c) => ({ '<': '&lt;', '>': '&gt;', '&': '&amp;', '"': '&quot;' })[c]);

// Control characters, such as terminal colours, can't stand in XML.
// eslint-disable-next-line no-control-regex
const plain = (text) => escaped(text).replace(/[\u0000-\u0008\u000b-\u001f]/g, '');

export default async function* junit(source) {
  yield '<?xml version="1.0" encoding="utf-8"?>\n<testsuite name="browser">\n';
  for await (const { type, data } of source) {
    const isTest = type === 'test:pass' || type === 'test:fail';
    const isFile = data.name?.endsWith('.mjs') && data.details?.error?.failureType !== 'testCodeFailure';
    if (!isTest || data.details?.type === 'suite' || isFile) {
      continue;
    }
    const seconds = ((data.details?.duration_ms ?? 0) / 1000).toFixed(3);
    yield `  <testcase classname="${plain(basename(data.file ?? data.name))}" name="${plain(data.name)}" time="${seconds}">`;
    if (data.skip !== undefined) {
      yield `<skipped message="${plain(data.skip)}"/>`;
    } else if (type === 'test:fail') {
      const { error } = data.details;
      yield `<failure message="${plain(error?.message ?? 'failed')}">${plain(error?.cause?.stack ?? error?.stack ?? '')}</failure>`;
    }
    yield '</testcase>\n';
  }
  yield '</testsuite>\n';
}
