/** Whether what an exporter needs of this machine can be had: for `kymo check --connect`. */
import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type Checkable, CheckFailure, type CheckFinding } from '../core/check.ts'
import { messageOf } from '../core/errors.ts'
import type { Signal } from '../proto/signals.ts'

/** What an exporter that writes to a file can be asked for; of a path with `*` what stands before that counts. */
export function fileChecks(path: string, makesFolders: boolean, signals: Iterable<Signal>): readonly Checkable[] {
  return [
    {
      endpoint: path,
      signals: [...signals],
      check: async steps => void (await steps.take('file', () => writable(path, makesFolders))),
    },
  ]
}

/** Looks whether it can be written, and writes nothing. @throws CheckFailure */
async function writable(path: string, makesFolders: boolean): Promise<CheckFinding> {
  const star = path.indexOf('*')
  const file = star < 0 ? path : undefined
  const there = file === undefined ? undefined : await found(file)
  if (file !== undefined && there !== undefined) {
    if (there.isDirectory()) throw new CheckFailure(`${file} is a folder`, 'write the path of a file into `path`')
    await allowed(file, constants.W_OK)
    return { text: `${file} is there and can be written`, facts: { path: file, exists: true } }
  }
  const folder = dirname(star < 0 ? path : `${path.slice(0, star)}x`)
  let nearest = folder
  let at = await found(nearest)
  if (makesFolders) {
    while (at === undefined && dirname(nearest) !== nearest) {
      nearest = dirname(nearest)
      at = await found(nearest)
    }
  }
  if (at === undefined)
    throw new CheckFailure(`there is no folder ${folder}`, 'make it, or set `create_directory: true`')
  if (!at.isDirectory()) throw new CheckFailure(`${nearest} is no folder`, 'write another `path`')
  await allowed(nearest, constants.W_OK | constants.X_OK)
  const made = nearest === folder ? '' : `, where ${folder} is made`
  return { text: `${nearest} can be written${made}`, facts: { path: nearest, exists: nearest === folder } }
}

async function found(path: string) {
  try {
    return await stat(path)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new CheckFailure(`cannot look at ${path}: ${messageOf(error)}`)
  }
}

async function allowed(path: string, how: number): Promise<void> {
  try {
    await access(path, how)
  } catch (error) {
    const isReadOnly = (error as NodeJS.ErrnoException).code === 'EROFS'
    const hint = isReadOnly
      ? 'mount a volume there that can be written'
      : 'give the user that Kymo runs as the right to'
    throw new CheckFailure(`${path} cannot be written: ${messageOf(error)}`, hint)
  }
}
