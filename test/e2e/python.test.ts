/** Peers in another language, over other implementations of gRPC and protobuf: the Python SDK and grpcio. */
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { allSignals, type Signal } from '../../proto/signals.ts'
import { brokenItems, healthyItem, requestOfItems } from '../support/broken.ts'
import { everything } from '../support/everything.ts'
import { gateway, inOrder, throughGateway } from '../support/gateway.ts'
import { runKymo, type RunningKymo } from '../support/kymo.ts'
import { names, tracesRequest } from '../support/otlp-bytes.ts'
import { type Item, itemsOf } from '../support/otlp-proto.ts'
import { grpcSend } from '../support/otlp-send.ts'
import { otlpSink } from '../support/otlp-sink.ts'
import { findPython, runScript, type Script, startScript } from '../support/python.ts'

const found = await findPython()
const python = 'path' in found ? found.path : ''
if ('missing' in found) console.warn(`skipped: ${found.missing}`)

let kymo: RunningKymo
afterEach(async () => {
  await kymo.stop()
  expect(kymo.books.faults()).toEqual([])
  expect(kymo.budget.used).toBe(0)
})

describe.skipIf(python === '')('the Python SDK', () => {
  test.each([
    ['grpc', 'none'],
    ['grpc', 'gzip'],
    ['http', 'none'],
    ['http', 'gzip'],
    ['http', 'deflate'],
  ])('over %s, compressed with %s, is received as it was sent', async (protocol, compression) => {
    const [backend, reference] = [await otlpSink(), await otlpSink()]
    kymo = await runKymo(gateway([['otlp_grpc', `{endpoint: '${backend.grpcEndpoint}', tls: {insecure: true}}`]]))
    const target = `${protocol},${kymo.addresses[protocol === 'grpc' ? 0 : 1]},${compression}`
    await runScript(python, 'client.py', ['shop', '50', target, `grpc,${reference.grpcEndpoint},none`])
    await runScript(python, 'client.py', ['kyma-system', '5', target])
    for (const signal of allSignals) {
      const sent = reference.items(signal)
      expect(sent.length).toBeGreaterThan(4)
      await expect.poll(() => backend.items(signal).length, { timeout: 5000 }).toBe(sent.length)
      expect(inOrder(backend.items(signal))).toEqual(inOrder(sent.map(throughGateway)))
    }
    expect(JSON.stringify(reference.items('metrics'))).toContain('exemplars')
    expect(backend.undecodable).toEqual([])
    await Promise.all([backend.close(), reference.close()])
  })
})

describe.skipIf(python === '')('a grpcio server', () => {
  let server: Script
  beforeAll(async () => {
    server = await startScript(python, 'server.py', [])
    return () => server.stop()
  })

  async function through(exporter: string): Promise<void> {
    kymo = await runKymo(`
receivers: {otlp: {protocols: {grpc: {endpoint: '127.0.0.1:0'}}}}
exporters: {otlp_grpc: {endpoint: '127.0.0.1:${String(server.lines[0]['port'])}', tls: {insecure: true}, ${exporter}}}
service: {pipelines: {${allSignals.map(signal => `${signal}: {receivers: [otlp], exporters: [otlp_grpc]}`).join(', ')}}}
`)
    server.lines.length = 1
  }
  const answerNext = async (answer: object) => {
    const before = server.lines.length
    server.child.stdin?.write(`${JSON.stringify(answer)}\n`)
    await expect.poll(() => server.lines.length).toBe(before + 1)
  }
  const requests = () => server.lines.filter(line => 'body' in line)
  const taken = (signal: Signal): Item[] =>
    requests()
      .filter(line => line['signal'] === signal && line['taken'] === true)
      .flatMap(line => itemsOf(signal, Buffer.from(String(line['body']), 'base64')))
  const spans = () => taken('traces').map(one => String(one.item['name']))
  const ten = tracesRequest([{ namespace: 'shop', spans: names('s', 10) }])
  const send = (body = ten) => grpcSend(kymo.addresses[0], 'traces', body)

  test.each(allSignals.flatMap(signal => ['none', 'gzip'].map(compression => [signal, compression] as const)))(
    'decodes every field of %s, compressed with %s, and finds in it what was sent',
    async (signal, compression) => {
      await through(`compression: ${compression}, sending_queue: {enabled: false}, headers: {x-tenant: shop}`)
      const body = everything(signal)
      expect(await grpcSend(kymo.addresses[0], signal, body)).toMatchObject({ code: 0 })
      expect(inOrder(taken(signal))).toEqual(inOrder(itemsOf(signal, body)))
      expect(requests()[0]['metadata']).toMatchObject({ 'x-tenant': 'shop' })
    },
  )

  test('that takes a part: the sender hears how many it did not take', async () => {
    await through('sending_queue: {enabled: false}')
    await answerNext({ rejected: 3, message: 'three too many' })
    expect(await send()).toMatchObject({ code: 0, partial: { rejected: '3', error_message: 'three too many' } })
  })

  test.each([
    ['UNAVAILABLE with RetryInfo', 14],
    ['RESOURCE_EXHAUSTED with RetryInfo', 8],
  ])('that answers %s is asked again, not sooner than it wants, and gets everything', async (_, code) => {
    await through('retry_on_failure: {initial_interval: 1ms}')
    await answerNext({ times: 2, code, message: 'later', retry: 300 })
    const began = performance.now()
    expect(await send()).toMatchObject({ code: 0 })
    await expect.poll(spans, { timeout: 5000 }).toEqual(names('s', 10))
    expect(performance.now() - began).toBeGreaterThanOrEqual(590)
    expect(requests()).toHaveLength(3)
  })

  test('that answers RESOURCE_EXHAUSTED without RetryInfo gets smaller batches', async () => {
    await through('sending_queue: {enabled: false}')
    await answerNext({ times: 1, code: 8, message: 'too large' })
    expect(await send()).toMatchObject({ code: 0 })
    expect(spans().toSorted()).toEqual(names('s', 10))
    expect(requests()).toHaveLength(3)
  })

  test('that cannot decode what is deep inside: all but that arrives', async () => {
    await through('sending_queue: {enabled: false}')
    const cut = brokenItems('traces').find(({ where }) => where === 'in the value of an attribute')?.bytes
    const broken = Buffer.concat([ten, requestOfItems('shop', [healthyItem('traces', 'ok'), cut ?? Buffer.alloc(0)])])
    expect(await send(broken)).toMatchObject({ code: 0, partial: { rejected: '1' } })
    expect(spans().toSorted()).toEqual(['ok', ...names('s', 10)])
  })

  test('that takes no text which is not UTF-8: it arrives, mended', async () => {
    await through('sending_queue: {enabled: false}')
    const broken = Buffer.concat([ten, tracesRequest([{ spans: ['ok', '\u0000'] }])])
    broken[broken.length - 1] = 0xff
    expect(await send(broken)).toMatchObject({ code: 0, partial: undefined })
    expect(spans().toSorted()).toEqual(['ok', ...names('s', 10), '\ufffd'])
  })

  test('serves many calls at a time', async () => {
    await through('sending_queue: {queue_size: 1000}')
    const all = names('n', 300)
    await Promise.all(all.map(name => send(tracesRequest([{ spans: [name] }]))))
    await expect.poll(() => spans().length, { timeout: 10_000 }).toBe(300)
    expect(spans().toSorted()).toEqual(all.toSorted())
  })
})
