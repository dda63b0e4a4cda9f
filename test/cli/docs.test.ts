/** `kymo docs`: what the reference pages say, in a terminal. */
import { expect, test } from 'vitest'
import { docsText } from '../../cli/docs.ts'
import { optionsOf } from '../../config/options.ts'
import { components } from '../support/components.ts'

test.each(components.map(one => [`${one.kind}/${one.type}`, one] as const))(
  'the page of %s has its summary and all of its options, in lines that fit',
  (name, definition) => {
    const text = String(docsText(name, undefined, components))
    const flat = text.replaceAll(/\s+/g, ' ')
    expect(flat).toContain(definition.summary.replaceAll(/\s+/g, ' '))
    for (const { name: option } of optionsOf(definition.config)) expect(text).toContain(`\n  ${option}  (`)
    const [described = ''] = text.split('\nOptions:')
    for (const line of described.split('\n')) expect(line.length).toBeLessThanOrEqual(120)
  },
)

test.each([
  [
    'otlp_http',
    'sending_queue.queue_size',
    /^ {2}sending_queue\.queue_size {2}\(int, 1000 unless set\)\n {6}Room, in units/,
  ],
  ['exporter/otlp_grpc', 'exporters::otlp_grpc::tls::ca_file', /^ {2}tls\.ca_file {2}\(text\)\n {6}File with/],
  ['resource', 'attributes[0].key', /^ {2}attributes\[\]\.key {2}\(text\)/],
  [
    'otlp_http',
    'sending_queue',
    /^ {2}sending_queue {2}\(section\)[^]*\n {2}sending_queue\.enabled {2}\(bool, true unless set\)/,
  ],
  ['otlphttp', 'timeout', /^ {2}timeout {2}\(duration, 30s unless set\)/],
])('%s %s', (component, key, text) => {
  expect(docsText(component, key, components)).toMatch(text)
})

test.each([
  ['otlp_htp', undefined, /no component `otlp_htp`.*did you mean `otlp_http`/],
  ['otlp_http', 'timout', /exporter otlp_http has no key `timout`; did you mean `timeout`/],
  ['otlp_http', 'xyz', /its keys: `endpoint`, /],
])('%s %s is nothing: the nearest is told', (component, key, text) => {
  const error = docsText(component, key, components)
  expect(error).toBeInstanceOf(Error)
  expect(String(error)).toMatch(text)
})
