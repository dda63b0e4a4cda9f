/** Runs a storage on a simulated disk, and looks at what is left of it for every moment at which the power may go. */
import { setImmediate as turn } from 'node:timers/promises'
import type { Batch } from '../../../core/batch.ts'
import { silent } from '../../../core/logger.ts'
import { type DurableQueue, endings, StorageError, type StoredRecord } from '../../../core/storage.ts'
import { Log } from '../../../extensions/file_storage/log.ts'
import { spans } from '../../support/batches.ts'
import { SimulatedClock } from './simulated-clock.ts'
import { type Image, diskError, randomOf, SimulatedDisk } from './simulated-disk.ts'

/** What kind of run. */
export interface PowerLossTerms {
  readonly seed: number
  /** Actions of the run. */
  readonly steps: number
  /** Disks looked at per moment. */
  readonly variants: number
  readonly fsync?: boolean
  readonly segmentSize?: number
  /** How many of the writes and syncs fail. */
  readonly faults?: number
  /** How many of the disks found are run on from, and looked at again in the same way. */
  readonly generations?: number
}

/** What was found. */
export interface PowerLossReport {
  readonly cuts: number
  readonly disks: number
  readonly recovered: number
  /** Files that were begun, used again, made of others, given back. */
  readonly happened: Readonly<Record<'begun' | 'recycled' | 'merged' | 'removed', number>>
  /** Acknowledged records that were not there, and records that never were. */
  readonly failures: readonly string[]
}

const directory = '/disk'
const names = ['a traces', 'b traces', 'c traces']

/** One record of one owner, and when what was said of it; moments are numbers of operations. */
interface Fate {
  readonly owner: string
  readonly id: string
  acknowledged: number
  ended: number
}

interface Outcome {
  readonly disk: SimulatedDisk
  readonly fates: Map<string, Fate>
  readonly happened: Record<'begun' | 'recycled' | 'merged' | 'removed', number>
}

const idOf = (payload: Buffer): string => payload.toString('latin1')
const keyOf = (owner: string, id: string): string => `${owner} ${id}`

const openLog = (disk: SimulatedDisk, clock: SimulatedClock, terms: PowerLossTerms): Promise<Log> =>
  Log.open({
    directory,
    files: disk,
    clock,
    log: silent,
    segmentSize: terms.segmentSize ?? 32 * 1024,
    maxSize: 1 << 28,
    fsync: terms.fsync ?? true,
    syncTimeout: 10_000,
    isEager: false,
  })

/** One life after the other, each but the first on what a power loss left. */
export async function losePower(terms: PowerLossTerms): Promise<PowerLossReport> {
  const random = randomOf(terms.seed)
  const total = { cuts: 0, disks: 0, recovered: 0, happened: { begun: 0, recycled: 0, merged: 0, removed: 0 } }
  const failures: string[] = []
  let start: Image = new Map()
  let fates = new Map<string, Fate>()
  for (let generation = 0; generation < (terms.generations ?? 2); generation++) {
    const outcome = await live(terms, start, fates, random, generation)
    for (const kind of ['begun', 'recycled', 'merged', 'removed'] as const)
      total.happened[kind] += outcome.happened[kind]
    const { disk } = outcome
    const next = Math.floor(random() * disk.operations.length)
    const remains = disk.remains
    for (let cut = 0; cut <= disk.operations.length; cut++) {
      if (cut > 0) remains.apply(disk.operations[cut - 1])
      total.cuts++
      for (let variant = 0; variant < terms.variants; variant++) {
        const image = remains.image(random)
        if (cut === next && variant === 0) start = image
        total.disks++
        const { count, faults } = await lookAt(image, terms, outcome.fates, cut)
        total.recovered += count
        for (const fault of faults) failures.push(`seed ${terms.seed}, life ${generation}, cut ${cut}: ${fault}`)
        if (failures.length > 20) return { ...total, failures }
      }
    }
    fates = survivors(outcome.fates, next)
  }
  return { ...total, failures }
}

/** What was said before the power went is what the next life starts from. */
function survivors(fates: Map<string, Fate>, cut: number): Map<string, Fate> {
  return new Map(
    [...fates].map(([key, fate]) => [
      key,
      { ...fate, acknowledged: fate.acknowledged <= cut ? 0 : Infinity, ended: fate.ended <= cut ? 0 : Infinity },
    ]),
  )
}

/** A life: appends, endings, reading, restarts. */
async function live(
  terms: PowerLossTerms,
  start: Image,
  before: Map<string, Fate>,
  random: () => number,
  generation: number,
): Promise<Outcome> {
  const disk = new SimulatedDisk(start)
  const clock = new SimulatedClock()
  const fates = new Map(before)
  disk.fault = async what => {
    if (random() < 0.3) await turn()
    if (!isOpening && (what === 'write' || what === 'sync') && random() < (terms.faults ?? 0))
      throw diskError('EIO', what)
  }
  // What is found unsynced at the start and cannot be synced then either is counted in spite of that.
  let isOpening = true
  let log = await openLog(disk, clock, terms)
  isOpening = false
  let queues = names.map(name => log.queue(name))
  let held: { readonly queue: DurableQueue; readonly record: StoredRecord; readonly isStuck: boolean }[] = []
  let appending: Promise<void>[] = []
  const append = (queue: DurableQueue, batch: Batch, id: string) => {
    const fate: Fate = { owner: queue.owner, id, acknowledged: Infinity, ended: Infinity }
    fates.set(keyOf(queue.owner, id), fate)
    appending.push(
      queue.append(batch).then(
        () => void (fate.acknowledged = disk.operations.length),
        (error: unknown) => {
          if (!(error instanceof StorageError)) throw error
        },
      ),
    )
  }
  const last = new Map<string, StoredRecord>()
  for (let i = 0; i < terms.steps; i++) {
    const what = random()
    if (what < 0.4) {
      for (let n = 1 + Math.floor(random() * 4); n > 0; n--) {
        const size = random() < 0.03 ? 40_000 : Math.floor(random() * 3_000)
        const batch = spans([`${generation}/${i}/${n}/${'x'.repeat(size)}`])
        const id = idOf(Buffer.from(batch.groups[0].bytes))
        for (const queue of queues) if (random() < 0.6) append(queue, batch, id)
      }
      if (random() < 0.7) await Promise.all(appending.splice(0))
    } else if (what < 0.9) {
      const queue = queues[Math.floor(random() * queues.length)]
      for (let n = Math.floor(random() * 20); n > 0; n--) {
        const record = await queue.next(last.get(queue.owner))
        if (record === undefined) break
        last.set(queue.owner, record)
        held.push({ queue, record, isStuck: random() < 0.02 })
      }
      const done = held.filter(one => !one.isStuck && random() < 0.9)
      held = held.filter(one => !done.includes(one))
      for (const one of done) {
        const fate = fates.get(keyOf(one.queue.owner, idOf(one.record.payload)))
        if (fate !== undefined) fate.ended = Math.min(fate.ended, disk.operations.length)
        one.queue.end(one.record, one.record.items, 'delivered')
      }
    } else if (what < 0.985) {
      clock.pass(random() < 0.5 ? 300 : 3_000)
      for (let n = 0; n < 5; n++) await turn()
    } else {
      await Promise.all(appending.splice(0))
      await log.close()
      isOpening = true
      log = await openLog(disk, clock, terms)
      isOpening = false
      queues = names.map(name => log.queue(name))
      held = []
      last.clear()
    }
  }
  await Promise.all(appending.splice(0))
  await log.close()
  const { operations } = disk
  return {
    disk,
    fates,
    happened: {
      begun: operations.filter(one => one.kind === 'link').length,
      recycled: operations.filter(one => one.kind === 'rename').length,
      merged: operations.filter(one => one.kind === 'write' && one.at === 0 && isMergeHeader(one.bytes)).length,
      removed: operations.filter(one => one.kind === 'unlink').length,
    },
  }
}

/** Only the header of a merged segment names segments it replaces, at the end of its text. */
const isMergeHeader = (bytes: Buffer): boolean => /^KYMOLOG1[^]{16}\[\d+,\d+,\[\],\[\d/.test(bytes.toString('latin1'))

/** Opens what is left, and compares it with what was said. */
async function lookAt(
  image: Image,
  terms: PowerLossTerms,
  fates: ReadonlyMap<string, Fate>,
  cut: number,
): Promise<{ count: number; faults: string[] }> {
  const faults: string[] = []
  const disk = new SimulatedDisk(image)
  const log = await openLog(disk, new SimulatedClock(), terms)
  const found = new Set<string>()
  for (const name of names) {
    const queue = log.queue(name)
    const { totals, backlog } = queue
    let ended = totals.corrupt
    for (const kind of endings) ended += totals[kind]
    if (totals.appended !== ended + backlog.items) faults.push(`the books of ${name} do not balance`)
    if (totals.corrupt > 0) faults.push(`${totals.corrupt} items of ${name} count as corrupt`)
    let after: StoredRecord | undefined
    let items = 0
    for (;;) {
      after = await queue.next(after)
      if (after === undefined) break
      items += after.items
      const key = keyOf(name, idOf(after.payload))
      if (!fates.has(key)) faults.push(`${name} has a record that was never appended: ${show(after.payload)}`)
      if (found.has(key)) faults.push(`${name} has a record twice: ${show(after.payload)}`)
      found.add(key)
    }
    if (items !== backlog.items) faults.push(`${name} said ${backlog.items} items and has ${items}`)
  }
  for (const [key, fate] of fates) {
    if (fate.acknowledged <= cut && fate.ended > cut && !found.has(key)) {
      faults.push(`${fate.owner} lost ${show(Buffer.from(fate.id, 'latin1'))}`)
    }
  }
  return { count: found.size, faults }
}

const show = (payload: Buffer): string =>
  payload
    .toString('latin1')
    .replace(/[^\w/]/g, '')
    .slice(0, 20)
