/** Files that were full: how they are called, and which of them are kept. */
import { readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, extname, join } from 'node:path'

/** When to begin a new file, and how many old ones to keep. */
export interface Rotation {
  /** Bytes. */
  readonly maxBytes: number
  /** Days; 0 keeps files of any age. */
  readonly maxDays: number
  /** 0 keeps any number. */
  readonly maxBackups: number
  readonly localTime: boolean
}

const day = 86_400_000
const stamp = /^(\d{4}-\d{2}-\d{2})T(\d{2})-(\d{2})-(\d{2})\.(\d{3})$/

/** Gives the full file at `path` its own name, which has `now` (milliseconds since the epoch) in it, so that a new one can begin. */
export async function setAside(path: string, { localTime }: Rotation, now: number): Promise<string> {
  for (let time = now; ; time++) {
    const backup = backupName(path, time, localTime)
    // Two in one millisecond: the next one is free.
    if (await exists(backup)) continue
    await rename(path, backup)
    return backup
  }
}

/** Removes old files of `path`: beyond the number, or beyond the age, that are kept. */
export async function removeOld(path: string, rotation: Rotation, now: number): Promise<void> {
  const { maxBackups, maxDays, localTime } = rotation
  if (maxBackups === 0 && maxDays === 0) return
  const folder = dirname(path)
  const found = (await readdir(folder))
    .map(name => ({ name, time: timeOf(path, name, localTime) }))
    .filter((one): one is { name: string; time: number } => one.time !== undefined)
    .sort((a, b) => b.time - a.time)
  const old = found.filter(
    ({ time }, i) => (maxBackups > 0 && i >= maxBackups) || (maxDays > 0 && now - time > maxDays * day),
  )
  await Promise.all(old.map(({ name }) => rm(join(folder, name), { force: true })))
}

/** `data.json` of 2022 becomes `data-2022-09-14T05-02-14.173.json`, as in the Collector. */
export function backupName(path: string, time: number, localTime: boolean): string {
  const shifted = localTime ? time - new Date(time).getTimezoneOffset() * 60_000 : time
  const text = new Date(shifted).toISOString().slice(0, -1).replaceAll(':', '-')
  const extension = extname(path)
  return `${path.slice(0, path.length - extension.length)}-${text}${extension}`
}

/** When the file called `name` was set aside; undefined where it is no old file of `path`. */
function timeOf(path: string, name: string, localTime: boolean): number | undefined {
  const extension = extname(path)
  const start = `${basename(path, extension)}-`
  if (!name.startsWith(start) || !name.endsWith(extension)) return undefined
  const found = stamp.exec(name.slice(start.length, name.length - extension.length))
  if (found === null) return undefined
  const [, date, hours, minutes, seconds, milliseconds] = found
  const time = Date.parse(`${date}T${hours}:${minutes}:${seconds}.${milliseconds}${localTime ? '' : 'Z'}`)
  return Number.isNaN(time) ? undefined : time
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
