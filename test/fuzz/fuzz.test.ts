/** A few thousand inputs of the long fuzzing run (`npm run test:fuzz`), always the same ones. */
import { expect, test } from 'vitest'
import { fuzzConfig } from './config.ts'
import type { Finding } from './findings.ts'
import { fuzzFunctions } from './functions.ts'
import { fuzzHttp1 } from './http1.ts'
import { fuzzHttp2 } from './http2.ts'
import { fuzzHttp2Client } from './http2-client.ts'
import { mutateBytes } from './mutate-bytes.ts'
import { mutateJson } from './mutate-json.ts'
import { Random } from '../support/otlp.ts'

const told = (findings: readonly Finding[]) =>
  findings.map(({ surface, index, what }) => `${surface} ${index}: ${what}`)

test.each(['protobuf', 'json'] as const)(
  'mutated %s is refused or comes out whole, and the books balance',
  async surface => {
    const { inputs, accepted, refused, findings } = await fuzzFunctions({ surface, seed: 3, from: 0, count: 800 })
    expect(told(findings)).toEqual([])
    expect(inputs).toBe(800)
    // Neither is so rare that nothing would be tested.
    expect(Math.min(accepted, refused)).toBeGreaterThan(250)
  },
)

test('requests of HTTP/1.1 are read alike however they are cut up, and none is taken that Node does not take so', async () => {
  const { accepted, refused, findings } = await fuzzHttp1(3, 0, 1500)
  expect(told(findings)).toEqual([])
  expect(Math.min(accepted, refused)).toBeGreaterThan(400)
})

test('mutated configurations load, or it is told what is wrong with them and where', () => {
  const { accepted, refused, findings } = fuzzConfig(3, 0, 150)
  expect(told(findings)).toEqual([])
  expect(Math.min(accepted, refused)).toBeGreaterThan(5)
})

test('sessions of HTTP/2 frames end with a call that is served, or with a goodbye', async () => {
  const { accepted, refused, findings } = await fuzzHttp2(3, 0, 500)
  expect(told(findings)).toEqual([])
  expect(Math.min(accepted, refused)).toBeGreaterThan(100)
})

test('calls end in time and once, whatever a server says, and the server that comes after it is found', async () => {
  const { accepted, refused, findings } = await fuzzHttp2Client(3, 0, 2000)
  expect(told(findings)).toEqual([])
  expect(Math.min(accepted, refused)).toBeGreaterThan(200)
})

test.each([
  ['bytes', mutateBytes],
  ['JSON', mutateJson],
] as const)('the same seed mutates %s in the same way, and seeds differ', (_, mutate) => {
  const base = Buffer.from('{"a":1,"b":[2]}')
  const texts = Array.from({ length: 50 }, (_, seed) => mutate(new Random(seed), base, base).toString('hex'))
  expect(texts).toEqual(Array.from({ length: 50 }, (_, seed) => mutate(new Random(seed), base, base).toString('hex')))
  expect(new Set(texts).size).toBeGreaterThan(30)
})
