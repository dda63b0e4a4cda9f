import { expect, test } from 'vitest'
import { nearest, suggest } from '../../config/nearest.ts'

const words = ['endpoint', 'timeout', 'sending_queue', 'retry_on_failure', 'tls', 'otlp_http', 'otlp_grpc', 'logs']

test.each([
  ['endpont', 'endpoint'],
  ['endpiont', 'endpoint'],
  ['Endpoint', 'endpoint'],
  ['timout', 'timeout'],
  ['sendingQueue', 'sending_queue'],
  ['sending-queue', 'sending_queue'],
  ['retry_on_failures', 'retry_on_failure'],
  ['tsl', 'tls'],
  ['otlphttp', 'otlp_http'],
  ['log', 'logs'],
])('`%s` is nearest to `%s`', (word, expected) => {
  expect(nearest(word, words)).toBe(expected)
})

test.each(['xyz', 'compression', 'a', '', 'headers', 'metrics'])('`%s` is near nothing', word => {
  expect(nearest(word, words)).toBeUndefined()
})

test('the word itself is no suggestion', () => {
  expect(nearest('tls', ['tls'])).toBeUndefined()
})

test('where nothing is near, the alternative is told', () => {
  expect(suggest('xyz', words, 'known keys: …')).toBe('known keys: …')
  expect(suggest('tsl', words, 'known keys: …')).toBe('did you mean `tls`?')
})
