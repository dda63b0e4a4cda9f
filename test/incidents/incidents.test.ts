/**
 * The incidents of somebody on call who knows nothing: `kymo status`, then at most the one command that it names. What is wrong,
 * what is lost and what to do is on the screen by then, and every number is compared with what senders, sinks and disk know.
 */
import { statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { authority, serverCert, serverKey } from '../net/certificates.ts'
import { freePort } from '../support/kymo.ts'
import { until } from '../support/until.ts'
import { closeAll, folder, garbage, type Lane, request, type Sink, sink, Site } from './harness.ts'

afterAll(closeAll)

const retry = { retry_on_failure: { initial_interval: '1s', max_interval: '2s' } }
const http = (endpoint: string, more: object = {}): Lane => ({
  exporter: ['otlp_http', { endpoint, ...retry, ...more }],
})

/** Two requests of three items each, of which everybody heard success. */
const twice = async (site: Site, lane: string): Promise<void> => {
  for (let i = 0; i < 2; i++) expect(await site.send(lane, request('logs', 3), 3)).toBe(200)
}

describe('at the door and behind exporters', () => {
  let site: Site
  let port: number
  let sinks: Record<'full' | 'slow' | 'key' | 'good' | 'tls', Sink>
  let first: string
  const waiting = ['down', 'slow', 'key', 'untrusted', 'name', 'plain'] as const

  beforeAll(async () => {
    const ca = join(folder(), 'ca.pem')
    writeFileSync(ca, authority)
    sinks = {
      full: await sink(),
      slow: await sink(),
      key: await sink(),
      good: await sink(),
      tls: await sink({ tls: { key: serverKey, cert: serverCert } }),
    }
    sinks.full.says = () => ({ status: 503 })
    sinks.slow.says = undefined
    sinks.key.says = () => ({ status: 401, body: 'unknown key' })
    port = await freePort()
    site = await Site.start({
      garbage: { exporter: ['nop', {}] },
      full: http(sinks.full.url, { sending_queue: { queue_size: 2 } }),
      down: http(`http://127.0.0.1:${port}`),
      slow: http(sinks.slow.url, { timeout: '300ms' }),
      key: http(sinks.key.url, { headers: { authorization: 'Bearer nope' } }),
      untrusted: http(sinks.tls.url),
      name: http(sinks.tls.url, { tls: { ca_file: ca, server_name_override: 'elsewhere.example' } }),
      plain: http(sinks.tls.url.replace('https', 'http')),
      filter: { ...http(sinks.good.url), processors: { namespace_filter: { exclude: ['payments'] } } },
    })
    for (let i = 0; i < 3; i++) await site.send('garbage', garbage, 0)
    for (let i = 0; i < 5; i++) await site.send('full', request('logs', 3), 3)
    for (const lane of waiting) await twice(site, lane)
    for (let i = 0; i < 4; i++)
      await site.send('filter', request('logs', 5, { namespace: i < 3 ? 'payments' : 'shop' }), 5)
    await site.until(
      ...waiting.map(lane => new RegExp(`otlp_http/${lane} (?:is in trouble|needs another configuration)`)),
    )
    await until(() => expect(sinks.good.taken).toBe(5))
    first = await site.status()
  })

  test('nothing is lost in any of these, and that is on the first screen', () => {
    const taken = Object.values(site.heard).reduce((sum, one) => sum + one.taken, 0)
    expect(taken).toBe(6 + 20 + 6 * waiting.length)
    expect(Object.values(site.heard).every(({ rejected }) => rejected === 0)).toBe(true)
    expect(first).toMatch(/^Nothing was lost since the start\.$/m)
    expect(first).toContain('books balance')
  })

  test('a sender of garbage', async () => {
    const { need, second } = await site.next(first, /turned away/)
    expect(site.of('garbage')).toMatchObject({ requests: 3, taken: 0 })
    expect(need).toContain('1 sender turned away for good lately: 3 malformed')
    expect(second).toMatch(/ 3 {2}127\.0\.0\.1 {2}otlp\/garbage +http +400 +malformed/)
    expect(second).toContain('begins as binary: 0a ff 01')
  })

  test('a queue is full', async () => {
    const { need, second } = await site.next(first, /senders are refused/)
    const { requests, refused, taken } = site.of('full')
    expect({ requests, refused, taken }).toEqual({ requests: 5, refused: 9, taken: 6 })
    expect(need).toContain('senders are refused, 3 requests so far: the queue of exporter otlp_http/full is full')
    expect(first).toContain('exporter otlp_http/full is in trouble, 6 items waiting (100% of its queue)')
    expect(second).toMatch(/otlp\/full +http .* 5 +6 +0 +0 +3 *$/m)
  })

  test.each<[what: string, lane: (typeof waiting)[number], wrong: RegExp, code: string]>([
    ['a destination is down', 'down', /connect ECONNREFUSED/, 'DELIVERY_UNREACHABLE'],
    ['a destination is slow', 'slow', /no answer within 300ms \(`timeout`\)/, 'DELIVERY_TIMEOUT'],
    ['the certificate is not trusted', 'untrusted', /certificate/, 'DELIVERY_UNREACHABLE'],
    ['the certificate is of another host', 'name', /elsewhere\.example/, 'DELIVERY_UNREACHABLE'],
    ['http to a port of https', 'plain', /http:\/\/127\.0\.0\.1/, 'DELIVERY_UNREACHABLE'],
  ])('%s', async (_, lane, wrong, code) => {
    const { need, second } = await site.next(first, new RegExp(`exporter otlp_http/${lane} is in trouble`))
    expect(site.of(lane)).toMatchObject({ taken: 6, requests: 2 })
    expect(need).toContain('is in trouble, 6 items waiting')
    expect(need).toMatch(wrong)
    // Two requests of three items, whose senders heard success: what is said, and why, stands below each.
    expect(
      second.match(new RegExp(` logs +3 {2}success +3 attempt failed by otlp_http/${lane}: ${code}`, 'g')),
    ).toHaveLength(2)
    expect(second).toMatch(wrong)
  })

  test('the key is wrong: a state of its own, with the keys of the configuration to look at', async () => {
    const { need, second } = await site.next(first, /exporter otlp_http\/key needs another configuration/)
    expect(site.of('key')).toMatchObject({ taken: 6, requests: 2 })
    expect(need).toMatch(/, 6 items waiting .*HTTP 401: unknown key; .* who it says it is: `headers\.authorization`/)
    expect(first).toMatch(/^otlp_http\/key +exporter +logs +Denied /m)
    expect(second).toMatch(/FAILED {2}request logs .*HTTP 401/)
  })

  test.each([
    ['untrusted', 'set `tls.ca_file` to the certificates of its authority'],
    ['name', 'set `tls.server_name_override` to it if this is the right server'],
    ['plain', 'does this port want https?'],
  ])('TLS, %s: what to set is told in words of the configuration', async (lane, hint) => {
    const { need } = await site.next(first, new RegExp(`exporter otlp_http/${lane} is in trouble`))
    expect(need).toContain(hint)
  })

  test('what the sender of such a batch heard, and when', async () => {
    const { out } = await site.ask('kymo batches --component otlp_http/down')
    const id = /^ *(\d+) /m.exec(out)?.[1]
    const { out: one } = await site.ask(`kymo batches ${id}`)
    expect(one).toMatch(/; the sender was answered (at|before) \d\d:\d\d:\d\d: success$/m)
  })

  test('a filter drops too much', async () => {
    expect(first).toMatch(/^Dropped by rules since the start: 15 items; see `kymo losses --since 24h --by namespace`$/m)
    const { out } = await site.ask('kymo losses --since 24h --by namespace')
    expect(out).toMatch(/^payments +15 /m)
    expect(site.of('filter').taken).toBe(15 + sinks.good.taken)
  })

  test('a destination is back', async () => {
    const back = await sink({ port })
    await expect.poll(() => back.taken).toBe(6)
    await expect.poll(() => site.status()).toContain('exporter otlp_http/down is well again')
    const now = await site.status()
    expect(now).not.toContain('otlp_http/down is in trouble')
    expect(now).toMatch(/^Nothing was lost since the start\.$/m)
    expect(site.of('down').taken).toBe(back.taken)
  })

  test('what is no command, or none of this build, is named as such', async () => {
    const { code, err } = await site.ask('kymo statu')
    expect([code, err]).toEqual([1, expect.stringContaining('status')])
  })
})

describe('with queues on disk', () => {
  let site: Site
  let dead: Sink
  let first: string
  const directory = folder()
  const small = join(directory, 'small')
  const lanes = (endpoints: { dead: string; gone: string }) => {
    const on = (storage: string) => ({ sending_queue: { storage } })
    return {
      dead: http(endpoints.dead, { ...on('file_storage/big'), timeout: '1s' }),
      orphan: http(endpoints.gone, on('file_storage/big')),
      small: http(endpoints.gone, on('file_storage/small')),
    }
  }

  beforeAll(async () => {
    dead = await sink()
    dead.says = () => ({ status: 400, body: 'no such tenant' })
    const all = lanes({ dead: dead.url, gone: `http://127.0.0.1:${await freePort()}` })
    const extensions = {
      // More than any disk of a test has.
      'file_storage/big': { directory: join(directory, 'big'), create_directory: true, max_size: '4096TiB' },
      'file_storage/small': { directory: small, create_directory: true, max_size: '8MiB' },
    }
    site = await Site.start(all, { extensions, args: ['--shutdown-timeout', '5s'] })
    for (let i = 0; i < 2; i++) await site.send('dead', request('logs', 4), 4)
    for (let i = 0; i < 2; i++) await site.send('orphan', request('logs', 4), 4)
    for (let i = 0; i < 30; i++) await site.send('small', request('logs', 4, { filler: 100_000 }), 4)
    const { orphan: _, ...rest } = all
    site.reload(rest)
    await site.until(/on disk that no exporter sends/, /8 items in \d+ dead letters/)
    first = await site.status()
  })

  test('a storage is full', async () => {
    const { requests, taken, refused } = site.of('small')
    expect(requests * 4).toBe(taken + refused)
    const { need, second } = await site.next(first, /senders are refused/)
    expect(need).toContain(
      `senders are refused, ${refused / 4} requests so far: the storage of exporter otlp_http/small is full`,
    )
    expect(first).toContain(`exporter otlp_http/small is in trouble, ${taken} items waiting`)
    expect(first).toMatch(/^Nothing was lost since the start\.$/m)
    // No room for one more of these.
    expect(Number(/storage file_storage\/small: .*room for (\d+) KiB/.exec(second)?.[1])).toBeLessThan(400)
    expect(second).toMatch(new RegExp(`otlp_http/small logs +file_storage/small +in use +${taken / 4} +${taken} `))
  })

  test('a disk is smaller than `max_size`: what is said of it is what it has', async () => {
    await site.process.until('the disk has less room than `max_size`')
    const { bavail, bsize } = statfsSync(directory)
    const { out } = await site.ask('kymo queue ls')
    const [, number = '', unit = ''] = /storage file_storage\/big: ok, room for ([\d.]+) (GiB|TiB)/.exec(out) ?? []
    const told = Number(number) * (unit === 'TiB' ? 2 ** 40 : 2 ** 30)
    // Others write to the same disk.
    expect(told).toBeGreaterThan(0.8 * bavail * bsize)
    expect(told).toBeLessThan(1.2 * bavail * bsize)
  })

  test('an exporter is gone, and its queue is an orphan', async () => {
    const { need, second } = await site.next(first, /no exporter sends/)
    expect(site.of('orphan').taken).toBe(8)
    expect(need).toContain('8 items of otlp_http/orphan logs on disk that no exporter sends any more')
    expect(second).toMatch(/otlp_http\/orphan logs +file_storage\/big +orphan +2 +8 /)
    expect(second).toContain("kymo replay --queue 'otlp_http/orphan logs' --exporter ID")
  })

  test('dead letters, and a replay to a destination that is still broken, then silent, then well', async () => {
    const { need, second } = await site.next(first, /dead letters/)
    expect([site.of('dead').taken, dead.taken]).toEqual([8, 0])
    expect(need).toMatch(/8 items in \d+ dead letters of storage file_storage\/big/)
    expect(second).toContain('HTTP 400: no such tenant')
    expect(second).toContain('`kymo replay --seq SEQ` sends one again')

    const again = await site.ask('kymo replay')
    expect(again.out).toMatch(
      /^replayed 0 of 8 items in \d+ batches; 8 were refused again, and put aside anew: .*no such tenant$/m,
    )
    expect(again.code).toBe(1)
    expect(await site.status()).toMatch(/8 items in \d+ dead letters/)

    dead.says = undefined
    const silent = await site.ask('kymo replay')
    expect(silent.out).toMatch(
      /^replayed 0 of 8 items in \d+ batches; 8 wait in a queue on disk, and what .* is not known yet$/m,
    )
    expect([silent.code, dead.taken]).toEqual([1, 0])

    dead.says = () => ({ status: 200 })
    await expect.poll(() => dead.taken).toBe(8)
    await expect.poll(() => site.status()).not.toContain('dead letters')
  })

  test('a reload by SIGHUP fails', async () => {
    site.reload('{"receivers": {"otlpp": {}}}')
    await site.until(/the last reload failed/)
    const { need, command, second } = await site.next(await site.status(), /the last reload failed/)
    expect(need).toMatch(/what ran before goes on: .*kymo\.yaml:1: /)
    expect(command).toBe('kymo reload --dry-run')
    expect(second).toContain('did you mean `otlp`?')
    expect(second).toContain('nothing has changed, what ran goes on')
    expect(await site.send('dead', request('logs', 1), 1)).toBe(200)
    await expect.poll(() => dead.taken).toBe(9)
  })

  test('a stop while a destination is dead and all is on disk waits for nothing, and says what stays', async () => {
    const { taken } = site.of('small')
    site.process.child.kill('SIGTERM')
    expect(await site.process.ended).toBe(0)
    const lines = site.process.lines()
    const at = (msg: string) => Date.parse(String(lines.find(line => String(line['msg']).startsWith(msg))?.['ts']))
    // The deadline.
    expect(at('stopped; nothing was lost') - at('stopping; what is held')).toBeLessThan(5000)
    expect(lines).toContainEqual(expect.objectContaining({ msg: 'data stays on disk, to be sent later', items: taken }))
    const { out } = await site.ask(`kymo queue ls --directory ${small}`)
    expect(out).toMatch(new RegExp(`otlp_http/small logs +\\S+ +on disk +${taken / 4} +${taken} `))
  })
})

describe('with little memory', () => {
  let site: Site
  let stuck: Sink
  let refusing: Sink

  beforeAll(async () => {
    stuck = await sink()
    stuck.says = undefined
    refusing = await sink()
    const written = ['samples', 'histograms', 'exemplars'].map(what => [
      `x-prometheus-remote-write-${what}-written`,
      '0',
    ])
    refusing.says = () => ({
      status: 400,
      headers: Object.fromEntries(written) as Record<string, string>,
      body: 'out of bounds',
    })
    const version = { protobuf_message: 'io.prometheus.write.v2.Request' }
    site = await Site.start(
      {
        stuck: http(stuck.url, { timeout: '60s' }),
        metrics: {
          signal: 'metrics',
          exporter: ['prometheus_remote_write', { endpoint: `${refusing.url}/api/v1/write`, ...version }],
        },
      },
      { everywhere: { memory_limiter: { check_interval: '1s', limit_mib: 200 } }, args: ['--shutdown-timeout', '3s'] },
    )
  })

  test('remote write rejects all of a batch: lost, an error, and one request', async () => {
    expect(await site.send('metrics', request('metrics', 5), 5, 'metrics')).toBe(200)
    await site.until(/5 items rejected/)
    expect(refusing.requests).toBe(1)
    const first = await site.status()
    const { need, second } = await site.next(first, /rejected by their destination/)
    expect(need).toContain('5 items rejected by their destination for good since the start: 5 out_of_bounds; such as: ')
    expect(need).toContain('HTTP 400: 5 of 5 samples were not stored: out of bounds')
    expect(first).not.toContain('Nothing was lost')
    expect(second).toMatch(/^5 items were rejected for good/m)
    expect(second).toMatch(/^metrics +5 in = 0 delivered \+ 0 dropped \+ 5 rejected /m)
    const told = site.process.lines().filter(({ rejected }) => rejected === 5)
    expect(told).toMatchObject([{ level: 'error', of: 5, msg: expect.stringContaining('it is lost') }])
  })

  test.todo('remote write 1.0: a sender with a wrong clock beside healthy ones costs one request for each bad batch')

  test('the memory budget is used up', async () => {
    const body = request('logs', 4, { filler: 100_000 })
    while ((await site.send('stuck', body, 4)) === 200);
    const { taken } = site.of('stuck')
    const { need, second } = await site.next(await site.status(), /senders are refused/)
    expect(need).toContain(
      `senders are refused, 1 request so far: the memory budget is used up; ${taken} items wait at exporter otlp_http/stuck`,
    )
    expect(second).toMatch(new RegExp(`otlp/stuck +http .* ${taken / 4 + 1} +${taken} +0 +0 +1 *$`, 'm'))
    expect(stuck.taken).toBe(0)
  })

  test('a stop while a destination is dead and all is in memory says what is held, why, and what was lost', async () => {
    const { taken } = site.of('stuck')
    site.process.child.kill('SIGTERM')
    await site.until(/"phase":"stopping"/)
    const first = await site.status()
    expect(first).toContain(`stopping: ${taken} items at exporter otlp_http/stuck not delivered yet`)
    expect(first).toContain(' of 200 MiB')
    expect(await site.process.ended).toBe(2)
    const last = site.process.lines().findLast(({ items }) => items !== undefined)
    expect(last).toMatchObject({
      level: 'error',
      items: taken,
      by: { 'exporter otlp_http/stuck (logs): shutdown': taken },
    })
  })
})
