import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { inContext } from '../../support/batches.ts'
import { Attempts, batchOf, forever, refusal } from '../../support/exporting.ts'
import { against, linesOf, logs, pushed, type Seen } from '../../support/loki-server.ts'

const batch = () => batchOf(logs([{ 'service.name': 'shop' }, ['one', 'two']]), 'logs')

describe('tenants', () => {
  const three = logs(
    [{ 'service.name': 'a', team: 'red' }, ['r1', 'r2']],
    [{ 'service.name': 'b', team: 'blue' }, ['b1']],
    [{ 'service.name': 'c' }, ['n1']],
    [{ 'service.name': 'd', team: 'red' }, ['r3']],
  )
  const byTeam = { tenant: { source: 'attributes', value: 'team', default: 'others' } }
  const tenantOf = ({ headers }: Seen) => headers['x-scope-orgid']

  test.each<[string, object, Record<string, string>, string | undefined]>([
    ['a fixed one', { tenant: 'shop' }, {}, 'shop'],
    ['a fixed one, as the removed exporter had it', { tenant: { source: 'static', value: 'shop' } }, {}, 'shop'],
    ['one of the request', { tenant: { source: 'context', value: 'X-Team' } }, { 'x-team': 'red' }, 'red'],
    [
      'the default where the request has none',
      { tenant: { source: 'context', value: 'x-team', default: 'all' } },
      {},
      'all',
    ],
    ['none where there is no default', { tenant: { source: 'context', value: 'x-team' } }, {}, undefined],
    ['a header', { headers: { 'X-Scope-OrgID': 'shop' } }, {}, 'shop'],
  ])('%s', async (_, config, metadata, tenant) => {
    const { exporter, seen } = await against({}, config)
    const given = batch()
    const map = new Map(Object.entries(metadata).map(([key, value]) => [key, [value]]))
    await exporter.send(inContext(given, { ...given.context, metadata: map }), forever)
    expect(tenantOf(seen[0])).toBe(tenant)
  })

  test.each([
    ['push', (one: Seen) => linesOf(pushed(one))],
    [
      'otlp',
      ({ body }: Seen) =>
        [
          ...gunzipSync(body)
            .toString('latin1')
            .matchAll(/[rbn]\d/g),
        ].map(String),
    ],
  ])('a batch of several is several requests over %s', async (protocol, lines) => {
    const { exporter, seen } = await against({}, { ...byTeam, protocol })
    expect(await exporter.send(batchOf(three, 'logs'), forever)).toBeUndefined()
    const got = Object.fromEntries(seen.map(one => [tenantOf(one), lines(one)]))
    expect(got).toEqual({ red: ['r1', 'r2', 'r3'], blue: ['b1'], others: ['n1'] })
  })

  test('where one fails, only it is sent again', async () => {
    let failing = true
    const reply = (one: Seen) =>
      tenantOf(one) === 'blue' && failing ? { status: 429, headers: { 'retry-after': '7' } } : {}
    const { exporter, seen } = await against(reply, byTeam)
    const attempts = new Attempts(batchOf(three, 'logs'))
    expect(await refusal(attempts.send(exporter))).toMatchObject({ kind: 'retry', retryAfter: 7000 })
    expect(seen.length).toBe(3)
    expect(attempts.rest.items).toBe(1)
    failing = false
    expect(await attempts.send(exporter)).toBeUndefined()
    expect(seen.slice(3).map(tenantOf)).toEqual(['blue'])
  })

  test('a retry of one comes before the rejection of another, so that nothing is given up too early', async () => {
    const codes: Record<string, number> = { red: 400, blue: 503, others: 204 }
    const { exporter } = await against(one => ({ status: codes[String(tenantOf(one))] }), byTeam)
    expect(await refusal(exporter.send(batchOf(three, 'logs'), forever))).toMatchObject({ kind: 'retry' })
  })

  test('one that Loki cannot have is left out and counted', async () => {
    const { exporter, seen } = await against({}, byTeam)
    const bad = logs([{ team: 'a/b' }, ['x', 'y']], [{ team: 'red' }, ['z']])
    const sent = await exporter.send(batchOf(bad, 'logs'), forever)
    expect(sent).toMatchObject({
      rejected: 2,
      reasons: { invalid_tenant: 2 },
      message: expect.stringContaining('`a/b`'),
    })
    expect(seen.map(tenantOf)).toEqual(['red'])
  })

  test('where data has none and Loki wants one, it is that data which is rejected', async () => {
    const { exporter } = await against(one => ({ status: tenantOf(one) === undefined ? 401 : 204, body: '' }), {
      tenant: { source: 'attributes', value: 'team' },
    })
    const error = await refusal(exporter.send(batchOf(three, 'logs'), forever))
    expect(error).toMatchObject({ kind: 'rejected' })
    expect(error.message).toMatch(/no resource attribute `team`: set `tenant.default`/)
  })
})
