/** A disk that is full, may not be written, lies, or is somebody else's; and a clock that jumps. */
import { spawnSync } from 'node:child_process'
import {
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  closeSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { Destination } from './destination.ts'
import { exporterOf } from './hostile.ts'
import type { Shape } from './ids.ts'
import { Site } from './kymo.ts'
import { Ledger } from './ledger.ts'
import { LoadSender } from './senders.ts'

export const mebibyte = 1024 * 1024
const shape: Shape = { signal: 'traces', items: 50, size: 400 }

/** A destination, and a Kymo in front of it with its queue on disk. */
export interface Scene {
  readonly ledger: Ledger
  readonly destination: Destination
  readonly site: Site
  /** Where the queue is kept. */
  readonly directory: string
  /** Sends requests, as many as are said. */
  send(requests: number, more?: { retry?: boolean; concurrency?: number }): Promise<LoadSender>
  /** State of the storage, and its last error. */
  storage(): Promise<{ state: string; error: string }>
}

/** Sets the scene, plays, and cleans up. `disk`: size of a file system of its own, in MiB. */
export async function scene(
  play: (scene: Scene) => Promise<void>,
  { disk, storage = {}, start = true }: { disk?: number; storage?: object; start?: boolean } = {},
): Promise<void> {
  const ledger = new Ledger()
  const destination = await Destination.start(ledger)
  const exporters = exporterOf('grpc', destination, {
    mode: 'durable',
    queue: { queue_size: 1_000_000 },
    timeout: '10s',
  })
  const site = await Site.make({ exporters })
  const directory = join(site.folder, 'storage')
  mkdirSync(directory)
  if (disk !== undefined) mount('-t', 'tmpfs', '-o', `size=${disk}m`, 'kymo-faults', directory)
  const extensions = { file_storage: { directory, segment_size: mebibyte, ...storage } }
  site.configure({ exporters, extensions, pipelines: { traces: ['otlp_grpc'] } })
  try {
    if (start) await site.start()
    await play({
      ledger,
      destination,
      site,
      directory,
      async send(requests, more = {}) {
        const options = { ledger, port: site.ports.grpc, transport: 'grpc' as const, shape, requests, ...more }
        const sender = new LoadSender(options).start()
        await sender.finished()
        await sender.stop()
        return sender
      },
      async storage() {
        const found = (await site.status()).components.find(one => one.kind === 'extension')
        return { state: found?.state ?? '', error: found?.last_error ?? '' }
      },
    })
  } finally {
    await site.close().catch(() => {})
    if (disk !== undefined) spawnSync('umount', ['-l', directory])
    rmSync(site.folder, { recursive: true, force: true })
    await destination.close()
  }
}

/** Mounts something; the arguments are those of the command. */
export function mount(...args: string[]): void {
  const { status, stderr } = spawnSync('mount', args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`mount ${args.join(' ')}: ${stderr}`)
}

/** Whether file systems can be mounted here. */
export const mayMount = process.getuid?.() === 0 && spawnSync('unshare', ['-m', 'true']).status === 0

/** Fills what is left of a file system; removing the file makes room again. */
export function ballast(directory: string): string {
  const path = join(directory, 'ballast')
  const block = Buffer.alloc(65_536, 1)
  const file = openSync(path, 'w')
  try {
    for (;;) writeSync(file, block)
  } catch {
    // No room is left.
  } finally {
    closeSync(file)
  }
  return path
}

/** Files of records, the first made first. */
export function segments(directory: string): string[] {
  const all = readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && !entry.parentPath.includes('dead') && entry.name !== 'ballast')
    .map(entry => join(entry.parentPath, entry.name))
  return all.filter(path => statSync(path).size >= mebibyte / 2).sort()
}

/** Turns over bits of the bytes from `at` on. */
export function damage(path: string, at: number, bytes: number): void {
  const file = openSync(path, 'r+')
  const block = Buffer.alloc(bytes)
  readSync(file, block, 0, bytes, at)
  for (let i = 0; i < bytes; i++) block[i] ^= 0x5a
  writeSync(file, block, 0, bytes, at)
  closeSync(file)
}

/** Where the last bytes of a file are that are not 0: what was preallocated is. */
export function lastWritten(path: string): number {
  const { size } = statSync(path)
  const block = Buffer.alloc(size)
  const file = openSync(path, 'r')
  readSync(file, block, 0, size, 0)
  closeSync(file)
  let end = size
  while (end > 0 && block[end - 1] === 0) end--
  return end
}

/** Ends a file in the middle of its last record: cut there, or with nothing but zeros behind it. */
export function tear(path: string, bytes: number, short: boolean): void {
  const at = lastWritten(path) - bytes
  const { size } = statSync(path)
  truncateSync(path, at)
  if (!short) truncateSync(path, size)
}

/** What makes the process believe that it is `offset` milliseconds later than it is, after `after` milliseconds. */
export function clockAt(folder: string, offset: number, after = 0): string[] {
  const path = join(folder, `clock-${offset}-${after}.mjs`)
  const text = `const real = Date.now\nconst from = real() + ${after}\nDate.now = () => (real() < from ? real() : real() + ${offset})\n`
  writeFileSync(path, text)
  return ['env', `NODE_OPTIONS=--import=${path}`]
}
