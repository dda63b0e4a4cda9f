import { expect, test } from 'vitest'
import { decodeResponseJson, decodeStatusJson, encodeResponseJson, encodeStatusJson } from '../../proto/json-answer.ts'
import type { Signal } from '../../proto/signals.ts'
import { WireError } from '../../proto/wire.ts'

test.each<[signal: Signal, rejected: number, message: string, text: string]>([
  ['traces', 0, '', '{}'],
  ['traces', 3, 'too old', '{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}}'],
  ['metrics', 3, '', '{"partialSuccess":{"rejectedDataPoints":"3"}}'],
  ['logs', 0, 'a "warning"', '{"partialSuccess":{"errorMessage":"a \\"warning\\""}}'],
  ['logs', 1, 'a', '{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"a"}}'],
])('response to %s, %i rejected, message "%s"', (signal, rejected, message, text) => {
  const written = encodeResponseJson(signal, rejected, message)
  expect(written.toString()).toBe(text)
  expect(decodeResponseJson(written)).toEqual(text === '{}' ? undefined : { rejected, message })
})

test.each<[what: string, text: string, expected: object | undefined]>([
  ['an empty body', '', undefined],
  ['a number without quotes', '{"partialSuccess":{"rejectedSpans":7}}', { rejected: 7, message: '' }],
  ['snake_case', '{"partial_success":{"rejected_log_records":"7","error_message":"x"}}', { rejected: 7, message: 'x' }],
  ['null', '{"partialSuccess":null}', undefined],
  ['an empty one', '{"partialSuccess":{}}', { rejected: 0, message: '' }],
  ['values of other types', '{"partialSuccess":{"rejectedSpans":[],"errorMessage":1}}', { rejected: 0, message: '' }],
  ['unknown keys', '{"x":1}', undefined],
])('a response may be %s', (_, text, expected) => {
  expect(decodeResponseJson(Buffer.from(text))).toEqual(expected)
})

test.each(['[]', '"ok"', '{', '<html>', '\u0000'])('%s is no response', text => {
  expect(() => decodeResponseJson(Buffer.from(text))).toThrow(WireError)
})

test.each<[retryDelay: number | undefined, delay: string | undefined]>([
  [undefined, undefined],
  [0, '0s'],
  [30_000, '30s'],
  [1500, '1.500s'],
  [0.25, '0.000250s'],
  [1000.000001, '1.000000001s'],
])('a status that says to come again after %d ms', (retryDelay, delay) => {
  const status = { code: 14, message: 'full', ...(retryDelay === undefined ? {} : { retryDelay }) }
  const written = encodeStatusJson(status)
  const details = [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: delay }]
  expect(JSON.parse(written.toString())).toEqual({
    code: 14,
    message: 'full',
    ...(delay === undefined ? {} : { details }),
  })
  const read = decodeStatusJson(written)
  expect(read?.retryDelay ?? -1).toBeCloseTo(retryDelay ?? -1, 6)
  expect(read).toMatchObject({ code: 14, message: 'full' })
})

const retry = (rest: string): string => `{"details":[{"@type":"any/google.rpc.RetryInfo",${rest}}]}`
test.each<[what: string, text: string, expected: object | undefined]>([
  ['empty', '{}', { code: 0, message: '' }],
  ['with a code as a string', '{"code":"3"}', { code: 3, message: '' }],
  ['with other details', '{"code":3,"details":[{"@type":"x/google.rpc.BadRequest"},null,1]}', { code: 3, message: '' }],
  ['with a delay in snake_case', retry('"retry_delay":"2s"'), { code: 0, message: '', retryDelay: 2000 }],
  ['with a negative delay', retry('"retryDelay":"-2s"'), { code: 0, message: '', retryDelay: 0 }],
  ['with a delay that is none', retry('"retryDelay":"soon"'), { code: 0, message: '', retryDelay: 0 }],
  ['no object', '[]', undefined],
  ['no JSON', '<html>Bad Gateway</html>', undefined],
  ['without a right code', '{"code":"x"}', undefined],
])('a status that is %s', (_, text, expected) => {
  expect(decodeStatusJson(Buffer.from(text))).toEqual(expected)
})
