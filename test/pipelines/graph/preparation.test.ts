/** Prepare, commit, abort: until it is committed a new configuration is nowhere to be seen, and given up it never was. */
import { readFile, rm } from 'node:fs/promises'
import { mkdtempSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as z from 'zod'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { Budget } from '../../../core/budget.ts'
import { defineExporter, defineExtension, defineReceiver, type ReceiverContext } from '../../../core/component.ts'
import { Host } from '../../../core/host.ts'
import { sending } from '../../../core/sending.ts'
import { file } from '../../../exporters/file.ts'
import { budgetKey } from '../../../core/budget.ts'
import { storageKey } from '../../../core/storage.ts'
import { Listeners, listenersKey } from '../../../net/listeners.ts'
import { toyGraph, type ToyGraph, type ToyParts } from '../../support/graph.ts'
import { tracesRequest } from '../../support/otlp-bytes.ts'
import { spans } from '../../support/batches.ts'
import { diskOf, MemoryStorage } from '../../support/storage.ts'

let listeners: Listeners
let host: Host
let budget: Budget
let toy: ToyGraph
let events: string[]
beforeEach(() => {
  listeners = new Listeners()
  budget = new Budget(1 << 28)
  host = new Host().provide(budgetKey, budget).provide(listenersKey, listeners)
  events = []
})
afterEach(async () => {
  await toy.graph.stop(200)
  await listeners.close()
  expect(toy.books.faults()).toEqual([])
  expect([budget.used, [...budget.accounts]]).toEqual([0, []])
})

const span = (name: string) => tracesRequest([{ spans: [name] }])
const push = async (name: string) => (await toy.push(span(name)).outcome).kind
const hears = (port: number) =>
  new Promise<string>(resolve => {
    let text = ''
    const socket = connect(port, '127.0.0.1').setEncoding('utf8')
    socket.on('data', chunk => (text += String(chunk)))
    socket.on('end', () => resolve(text)).on('error', () => resolve('nobody'))
  })

/** What a toy does besides noting what it is asked; `fails` is what it cannot do, `port` where it listens from `start` on. */
const keys = { name: z.string(), fails: z.string().default(''), port: z.number().default(-1) }
type Keys = { name: string; fails: string; port: number }
const declared = { stability: 'stable', summary: 'A toy.', signals: ['traces'], examples: [] } as const

/** The life of a toy that has a port. */
function life({ name, fails, port }: Keys, id: string, process: Host) {
  const note = (what: string): void => {
    events.push(`${name} ${what}`)
    if (fails === what) throw new Error(`${name} cannot ${what}`)
  }
  let close: (() => Promise<void>) | undefined
  note('create')
  return {
    async start() {
      note('start')
      if (port < 0) return
      const says = (socket: Socket): void => void socket.end(name)
      const binding = await process.get(listenersKey).listen(`127.0.0.1:${port}`, says, id)
      close = () => binding.close()
    },
    run: () => note('run'),
    async stop() {
      note('stop')
      await close?.()
    },
  }
}
const key = defineExtension({
  ...declared,
  type: 'key',
  config: z.strictObject(keys),
  create: (config, { id, host: process }) => life(config, id, process),
})
const user = defineExporter({
  ...declared,
  type: 'user',
  ordering: 'none',
  config: z.strictObject({ ...keys, ...sending() }),
  create: (config, { id, host: process }) => ({
    ...life(config, id, process),
    send(batch: { readonly items: number }) {
      events.push(`${config.name} sends ${batch.items}`)
      return Promise.resolve(undefined)
    },
    leave: () => config.name,
    adopt: (before: unknown) => events.push(`${config.name} adopts ${String(before)}`) > 0,
  }),
})
const doors = new Map<string, ReceiverContext>()
const door = defineReceiver({
  ...declared,
  type: 'door',
  config: z.strictObject(keys),
  create(config, context) {
    doors.set(config.name, context)
    return life(config, context.id, context.host)
  },
})

/** One of each kind, called `name`; `more` by kind. */
const parts = (name: string, more: Record<string, object> = {}): ToyParts => ({
  exporters: {},
  components: {
    key: { definition: key, config: { name: `${name} key`, ...more['key'] } },
    user: { definition: user, config: { name: `${name} user`, ...more['user'] } },
    door: { definition: door, config: { name: `${name} door`, ...more['door'] } },
  },
  pipelines: [{ receivers: ['toy', 'door'], exporters: ['user'] }],
})

async function freePort(): Promise<number> {
  const probe = new Listeners()
  const { port } = await probe.listen('127.0.0.1:0', socket => socket.destroy(), 'probe')
  await probe.close()
  return port
}

test('what is prepared does nothing, and what runs goes on; from the commit on it is the other way round', async () => {
  const [port, other] = [await freePort(), await freePort()]
  toy = await toyGraph({ ...parts('old', { door: { port } }), host })
  events.length = 0
  const prepared = await toy.prepare(parts('new', { door: { port }, user: { port: other } }))
  expect(await push('a')).toBe('success')
  const made = ['new key create', 'new user create', 'new door create', 'new key start', 'new user start']
  expect(events).toEqual([...made, 'new door start', 'old user sends 1'])
  expect([await hears(port), toy.graph.plan]).toEqual(['old door', toy.plan])
  events.length = 0
  const early = hears(other)
  const { over } = prepared.commit(500)
  expect(events.slice(0, 4)).toEqual(['new user adopts old user', 'new key run', 'new user run', 'new door run'])
  expect([await early, await hears(port)]).toEqual(['new user', 'new door'])
  expect(await push('b')).toBe('success')
  await over
  expect(events.slice(4).filter(event => event !== 'new user sends 1')).toEqual([
    'old door stop',
    'old user stop',
    'old key stop',
  ])
  expect(events).toContain('new user sends 1')
})

/** Everything that could be left of a configuration. */
const trace = () => ({
  plan: toy.graph.plan,
  components: toy.graph.components.map(({ kind, id, status }) => [kind, id, status.state]),
  nodes: toy.books.nodes.filter(({ retired }) => !retired).map(({ name }) => name),
  doors: toy.books.doors.length,
  connections: listeners.connections,
  accounts: [...budget.accounts],
  handles: process
    .getActiveResourcesInfo()
    .filter(name => name === 'Timeout' || name === 'TCPServerWrap')
    .toSorted(),
})

describe('given up, it leaves no trace:', () => {
  test.each<[string, Record<string, object>, string | undefined]>([
    ['an extension that cannot be made', { key: { fails: 'create' } }, 'extension key: new key cannot create'],
    ['an exporter that cannot be made', { user: { fails: 'create' } }, 'exporter user: new user cannot create'],
    ['a receiver that cannot be made', { door: { fails: 'create' } }, 'receiver door: new door cannot create'],
    ['an extension that cannot start', { key: { fails: 'start' } }, 'extension key: new key cannot start'],
    ['an exporter that cannot start', { user: { fails: 'start' } }, 'exporter user: new user cannot start'],
    ['a receiver that cannot start', { door: { fails: 'start' } }, 'receiver door: new door cannot start'],
    ['a queue on disk that cannot be had', { user: { sending_queue: { storage: 'disk' } } }, 'is not running'],
    ['all of it ready', {}, undefined],
  ])('%s', async (_, more, message) => {
    const [port, other] = [await freePort(), await freePort()]
    toy = await toyGraph({ ...parts('old', { door: { port } }), host })
    const before = trace()
    events.length = 0
    const after = parts('new', { ...more, door: { port, ...more['door'] }, user: { port: other, ...more['user'] } })
    const preparing = toy.prepare(after)
    if (message === undefined) {
      const prepared = await preparing
      const waiting = hears(other)
      await expect.poll(() => listeners.connections).toBe(before.connections + 1)
      await prepared.abort()
      expect(await waiting).toBe('')
    } else await expect(preparing).rejects.toThrow(message)
    await expect.poll(trace).toEqual(before)
    expect([await hears(port), await hears(other)]).toEqual(['old door', 'nobody'])
    // Whatever was made was stopped, and nothing that runs was asked for anything.
    const made = events.filter(event => event.endsWith('create')).map(event => event.slice(0, -' create'.length))
    const failed = message?.includes('create') === true ? made.slice(0, -1) : made
    expect(events.filter(event => event.endsWith('stop')).toSorted()).toEqual(
      failed.map(name => `${name} stop`).toSorted(),
    )
    expect(events.filter(event => event.startsWith('old') || event.endsWith('run'))).toEqual([])
    expect(await push('a')).toBe('success')
    // And the next one comes to run.
    events.length = 0
    await (
      await toy.reload(parts('next', { door: { port }, user: { port: other } }))
    ).over
    expect(await push('b')).toBe('success')
    expect(events).toEqual(expect.arrayContaining(['next user adopts old user', 'next user sends 1', 'old key stop']))
    expect([await hears(port), await hears(other)]).toEqual(['next door', 'next user'])
  })
})

test('two at a time are one too many; once the first is committed or given up the next may come', async () => {
  toy = await toyGraph({ ...parts('old'), host })
  const preparing = toy.prepare(parts('first'))
  await expect(toy.prepare(parts('second'))).rejects.toThrow('another configuration is being prepared')
  const first = await preparing
  await expect(toy.prepare(parts('second'))).rejects.toThrow('another configuration is being prepared')
  const aborting = first.abort()
  await expect(toy.prepare(parts('second'))).rejects.toThrow('another configuration is being prepared')
  await aborting
  const second = await toy.prepare(parts('second'))
  await second.commit(100).over
  expect(await push('a')).toBe('success')
  expect(events.at(-1)).toBe('second user sends 1')
  await (
    await toy.reload(parts('third'))
  ).over
  expect(await push('b')).toBe('success')
  expect(events.at(-1)).toBe('third user sends 1')
})

test('it is committed or given up once', async () => {
  toy = await toyGraph({ ...parts('old'), host })
  const one = await toy.prepare(parts('one'))
  await one.abort()
  await one.abort()
  expect(() => one.commit(100)).toThrow('runs already, or was given up')
  const two = await toy.prepare(parts('two'))
  await two.commit(100).over
  events.length = 0
  await two.abort()
  expect(() => two.commit(100)).toThrow('runs already, or was given up')
  expect(await push('a')).toBe('success')
  expect(events).toEqual(['two user sends 1'])
})

test.each([
  ['while it is prepared', async (preparing: Promise<unknown>) => expect(preparing).rejects.toThrow('is stopping')],
  [
    'when it is ready',
    async (preparing: ReturnType<ToyGraph['prepare']>) => {
      const prepared = await preparing
      await toy.graph.stop(200)
      expect(() => prepared.commit(100)).toThrow('runs already, or was given up')
    },
  ],
])('a stop %s gives it up', async (when, then) => {
  toy = await toyGraph({ ...parts('old'), host })
  const preparing = toy.prepare(parts('new'))
  const stopped = when === 'while it is prepared' ? toy.graph.stop(200) : undefined
  await then(preparing)
  await stopped
  expect(events.filter(event => event.endsWith('stop')).toSorted()).toEqual(
    ['new door stop', 'new key stop', 'new user stop', 'old door stop', 'old key stop', 'old user stop'].toSorted(),
  )
  expect(events.filter(event => event === 'new door run')).toEqual([])
})

test('what a receiver of a new name takes before the commit waits; given up it is to come again', async () => {
  const fresh: ToyParts = {
    ...parts('old'),
    components: { ...parts('old').components, 'door/2': { definition: door, config: { name: 'second door' } } },
    pipelines: [{ receivers: ['toy', 'door', 'door/2'], exporters: ['user'] }],
  }
  toy = await toyGraph({ ...parts('old'), host })
  for (const outcome of ['refused', 'success'] as const) {
    const prepared = await toy.prepare(fresh)
    const second = doors.get('second door')
    if (second === undefined) throw new Error('it was not made')
    const pushed = toy.pushTo(second, span('a'))
    if (outcome === 'success') prepared.commit(100)
    else await prepared.abort()
    expect((await pushed.outcome).kind).toBe(outcome)
  }
})

test('a file that is emptied at the start is not, as long as the one before writes to it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kymo-preparation-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const path = join(folder, 'out.json')
  const writing = (more: object): ToyParts => ({
    exporters: {},
    components: { file: { definition: file, config: { path, ...more } } },
    pipelines: [{ exporters: ['file'] }],
  })
  toy = await toyGraph({ ...writing({}), host })
  expect(await push('a')).toBe('success')
  const lines = async () => (await readFile(path, 'utf8')).split('\n').length - 1
  await expect.poll(lines).toBe(1)
  const prepared = await toy.prepare(writing({ format: 'proto' }))
  expect(await lines()).toBe(1)
  await prepared.abort()
  expect(await push('b')).toBe('success')
  await expect.poll(lines).toBe(2)
})

test('what waits on disk for an exporter is sent once that runs; given up, it waits for whoever comes', async () => {
  const storage = new MemoryStorage()
  const left = storage.queue('user/2 traces')
  await left.append(spans(['a', 'b']))
  left.close()
  const { components } = parts('old')
  const plain = { ...parts('old'), components: { ...components, disk: { definition: diskOf(storage) } } }
  const durable: ToyParts = {
    ...plain,
    components: {
      ...plain.components,
      'user/2': {
        definition: user,
        config: { name: 'new user', sending_queue: { storage: 'disk' } },
        uses: [{ path: 'sending_queue.storage', id: 'disk', needs: storageKey.name }],
      },
    },
    pipelines: [{ receivers: ['toy', 'door'], exporters: ['user', 'user/2'] }],
  }
  toy = await toyGraph({ ...plain, host })
  const orphans = () => storage.orphans().map(({ owner, items }) => [owner, items])
  const prepared = await toy.prepare(durable)
  expect([orphans(), events.filter(event => event.includes('sends'))]).toEqual([[], []])
  await prepared.abort()
  expect([orphans(), events.filter(event => event.includes('sends'))]).toEqual([[['user/2 traces', 2]], []])
  await toy.reload(durable)
  await expect.poll(() => events).toContain('new user sends 2')
})
