import { expect, test } from 'vitest'
import { prometheusRemoteWrite } from '../../../exporters/prometheus_remote_write/prometheus_remote_write.ts'
import { complaints } from '../../support/exporting.ts'

test.each([
  ['nothing', {}, 'endpoint: `endpoint` is missing; write a URL'],
  ['no URL', { endpoint: 'prometheus:9090' }, 'endpoint: `prometheus:9090` has no scheme'],
  [
    'another compression',
    { endpoint: 'http://a', compression: 'gzip' },
    'compression: remote write is compressed with snappy',
  ],
  [
    'a write-ahead log',
    { endpoint: 'http://a', wal: { directory: './d' } },
    'wal: what waits is kept on disk by `sending_queue.storage`',
  ],
  ['an unknown version', { endpoint: 'http://a', protobuf_message: 'v3' }, 'protobuf_message: '],
  ['an unknown strategy', { endpoint: 'http://a', translation_strategy: 'Best' }, 'translation_strategy: '],
  [
    'labels without a value',
    { endpoint: 'http://a', external_labels: { a: '' } },
    'external_labels.a: a label has a value',
  ],
  [
    'a header of the protocol to send on',
    { endpoint: 'http://a', include_metadata_keys: ['Content-Type'] },
    'include_metadata_keys.0: `Content-Type` is set by the protocol itself',
  ],
  [
    'no consumer',
    { endpoint: 'http://a', remote_write_queue: { num_consumers: 0 } },
    'remote_write_queue.num_consumers: must be at least 1',
  ],
  ['an unknown key', { endpoint: 'http://a', endpont: 1 }, ': Unrecognized key'],
])('the configuration cannot have %s', (_, config, wanted) => {
  const found = complaints(prometheusRemoteWrite, config)
  expect(found.some(text => text.startsWith(wanted))).toBe(true)
})

test('the queue is what the Collector calls it, unless there is more to say', () => {
  const queueOf = (config: object): object => {
    const parsed = prometheusRemoteWrite.config.parse({ endpoint: 'http://a', ...config }) as { sending_queue: object }
    return parsed.sending_queue
  }
  expect(queueOf({})).toMatchObject({ enabled: true, queue_size: 10_000 })
  expect(queueOf({ remote_write_queue: { enabled: false, queue_size: 5 } })).toMatchObject({
    enabled: false,
    queue_size: 5,
  })
  expect(queueOf({ remote_write_queue: { queue_size: 5 }, sending_queue: { storage: 'file_storage' } })).toMatchObject({
    queue_size: 1000,
    storage: 'file_storage',
  })
})
