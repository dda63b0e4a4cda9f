/** Puts and deletes checkpoints on a simulated disk, and looks at what is left of it for every moment at which the power may go. */
import { setImmediate as turn } from 'node:timers/promises'
import { type Checkpoints, StorageError } from '../../../core/storage.ts'
import { openFolder, refusal } from './checkpoint-opening.ts'
import { lines, settled } from './opening.ts'
import { SimulatedClock } from './simulated-clock.ts'
import { diskError, type Image, randomOf, SimulatedDisk } from './simulated-disk.ts'

/** What kind of run. */
export interface CheckpointLossTerms {
  readonly seed: number
  /** Actions of each life. */
  readonly steps: number
  /** Disks looked at per moment. */
  readonly variants: number
  /** How many lives; each but the first goes on from what a power loss left. */
  readonly lives: number
  readonly fsync?: boolean
  /** How many of the operations fail. */
  readonly faults?: number
  /** The process is killed, and the machine goes on: all that was written is there. */
  readonly isKill?: boolean
}

/** What was found. */
export interface CheckpointLossReport {
  readonly disks: number
  /** Values that were read back. */
  readonly read: number
  /** Files that were begun. */
  readonly begun: number
  /** Values older than what was acknowledged, values that never were, files that count as damaged. */
  readonly failures: readonly string[]
}

const owners = ['file_log', 'kafka'] as const

/** What was said of a key, in order; moments are numbers of operations. */
interface Version {
  readonly text: string | undefined
  readonly put: number
  acknowledged: number
}

/** By owner and key. */
type Histories = Map<string, Version[]>

const nothing: Version = { text: undefined, put: 0, acknowledged: 0 }
const nameOf = (owner: string, key: string): string => `${owner} ${key}`

/** One life after the other, each but the first on what a power loss left. */
export async function loseCheckpoints(terms: CheckpointLossTerms): Promise<CheckpointLossReport> {
  const random = randomOf(terms.seed)
  const total = { disks: 0, read: 0, begun: 0 }
  const failures: string[] = []
  let start: Image = new Map()
  let before: Histories = new Map()
  for (let life = 0; life < terms.lives; life++) {
    const { disk, histories } = await live(terms, start, before, random, life)
    const { operations, remains } = disk
    total.begun += operations.filter(({ kind }) => kind === 'link').length
    const next = Math.floor(random() * operations.length)
    for (let cut = 0; cut <= operations.length; cut++) {
      if (cut > 0) remains.apply(operations[cut - 1])
      for (let variant = 0; variant < terms.variants; variant++) {
        const image = remains.image(random, terms.isKill)
        const { found, faults } = await lookAt(image, terms, histories, cut)
        total.disks++
        total.read += found.size
        for (const fault of faults) failures.push(`seed ${terms.seed}, life ${life}, cut ${cut}: ${fault}`)
        if (failures.length > 20) return { ...total, failures }
        if (cut !== next || variant > 0) continue
        start = image
        // What is on the disk when a process starts is on it for sure.
        before = new Map([...found].map(([name, text]) => [name, [{ text, put: 0, acknowledged: 0 }]]))
      }
    }
  }
  return { ...total, failures }
}

/** One life: puts, deletes, users that leave and come, restarts. */
async function live(
  terms: CheckpointLossTerms,
  start: Image,
  before: Histories,
  random: () => number,
  life: number,
): Promise<{ disk: SimulatedDisk; histories: Histories }> {
  const disk = new SimulatedDisk(start)
  const clock = new SimulatedClock()
  const histories: Histories = new Map([...before].map(([name, versions]) => [name, [...versions]]))
  disk.fault = async (_, path) => {
    if (random() < 0.3) await turn()
    if (isUp && random() < (terms.faults ?? 0)) throw diskError('EIO', path)
  }
  let isUp = false
  const open = async () => {
    isUp = false
    const folder = openFolder(disk, { clock, fsync: terms.fsync ?? true, shortest: 24 * 1024 })
    const users = await Promise.all(owners.map(owner => folder.take(owner)))
    isUp = true
    return { folder, users }
  }
  let { folder, users } = await open()
  const putting: Promise<void>[] = []
  const pick = () => Math.floor(random() * owners.length)
  const say = (owner: string, key: string, text: string | undefined): Version => {
    const version: Version = { text, put: disk.operations.length, acknowledged: Infinity }
    const name = nameOf(owner, key)
    const versions = histories.get(name) ?? [nothing]
    histories.set(name, [...versions, version])
    return version
  }
  const put = (owner: string, checkpoints: Checkpoints, key: string, text: string): void => {
    const version = say(owner, key, text)
    // A delete is written with what is put after it.
    const with_ = [...histories].flatMap(([name, versions]) => {
      const last = versions.at(-1)
      return name.startsWith(`${owner} `) && last?.text === undefined && last !== undefined ? [last] : []
    })
    putting.push(
      checkpoints.put(key, Buffer.from(text)).then(
        () => {
          for (const one of [version, ...with_]) one.acknowledged = Math.min(one.acknowledged, disk.operations.length)
        },
        (error: unknown) => {
          if (!(error instanceof StorageError)) throw error
        },
      ),
    )
  }
  /** A delete is dropped when its user leaves while the disk is in trouble: who comes then sees the key. */
  const comeBack = (): void => {
    for (const [i, owner] of owners.entries()) {
      for (const key of users[i].keys) {
        const last = histories.get(nameOf(owner, key))?.at(-1)
        if (last?.text === undefined && last?.acknowledged === Infinity) {
          say(owner, key, users[i].get(key)?.toString())
        }
      }
    }
  }
  for (let i = 0; i < terms.steps; i++) {
    const what = random()
    const which = pick()
    if (what < 0.75) {
      for (let n = 1 + Math.floor(random() * 6); n > 0; n--) {
        const owner = pick()
        const key = `key ${Math.floor(random() * 8)}`
        const size = random() < 0.05 ? 9_000 : Math.floor(random() * 600)
        if (random() < 0.8) put(owners[owner], users[owner], key, `${life}/${i}/${n}/${'x'.repeat(size)}`)
        else if (users[owner].get(key) !== undefined) {
          say(owners[owner], key, undefined)
          users[owner].delete(key)
        }
      }
      if (random() < 0.6) await Promise.all(putting.splice(0))
    } else if (what < 0.9) {
      clock.pass(random() < 0.5 ? 1_000 : 30_000)
      await settled()
    } else if (what < 0.97) {
      users[which].close()
      isUp = false
      users[which] = await folder.take(owners[which])
      isUp = true
      comeBack()
    } else {
      await Promise.all(putting.splice(0))
      await folder.close()
      ;({ folder, users } = await open())
      comeBack()
    }
  }
  await Promise.all(putting)
  await folder.close()
  expectClosed(await refusal(users[0].put('a', Buffer.alloc(0))))
  return { disk, histories }
}

function expectClosed({ kind }: StorageError): void {
  if (kind !== 'closed') throw new Error(`it was ${kind}`)
}

/** Opens what is left, and compares it with what was said. */
async function lookAt(
  image: Image,
  terms: CheckpointLossTerms,
  histories: Histories,
  cut: number,
): Promise<{ found: Map<string, string>; faults: string[] }> {
  const faults: string[] = []
  const { log, errors } = lines()
  const folder = openFolder(new SimulatedDisk(image), { log, fsync: terms.fsync ?? true })
  const found = new Map<string, string>()
  for (const owner of owners) {
    const checkpoints = await folder.take(owner)
    for (const key of checkpoints.keys) found.set(nameOf(owner, key), checkpoints.get(key)?.toString() ?? '')
  }
  for (const { message, fields } of errors) faults.push(`${message} ${JSON.stringify(fields)}`)
  for (const name of found.keys()) if (!histories.has(name)) faults.push(`${name} was never put`)
  for (const [name, versions] of histories) {
    const text = found.get(name)
    const least = versions.findLastIndex(({ acknowledged }) => acknowledged <= cut)
    const allowed = versions.slice(Math.max(least, 0)).filter(one => one.put <= cut)
    if (allowed.some(one => one.text === text)) continue
    const old = versions.some(one => one.text === text)
    faults.push(
      `${name} is ${text?.slice(0, 20)}, ${old ? 'older than' : 'and never was, unlike'} ${versions[least]?.text?.slice(0, 20)}`,
    )
  }
  return { found, faults }
}
