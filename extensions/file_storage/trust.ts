/** Whether a directory of the storage is only ours to write to. */
import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from '../../core/logger.ts'
import { judgeDirectoryAt } from '../../core/ownership.ts'

/** Others could exchange what we write. The message says where, and what to type. */
export class UntrustedError extends Error {
  override name = 'UntrustedError'
}

/** @throws UntrustedError when others can exchange what is in `directory` */
export async function trust(directory: string, log: Logger): Promise<void> {
  const { refusal, caution } = await judgeDirectoryAt(directory)
  if (refusal !== undefined) throw new UntrustedError(`\`${directory}\` is not used: ${refusal}`)
  if (caution !== undefined) log.warn({ directory }, caution)
}

/**
 * The same of a directory that we made, and of what is in it. We make no links: whoever made one wants us to write elsewhere.
 * @throws UntrustedError that names it
 */
export async function trustOwn(directory: string, log: Logger): Promise<void> {
  if ((await lstat(directory)).isSymbolicLink()) throw isLink(directory)
  await trust(directory, log)
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (entry.isSymbolicLink()) throw isLink(join(directory, entry.name))
  }
}

const isLink = (path: string): UntrustedError =>
  new UntrustedError(`\`${path}\` is a symbolic link, and nothing is written through one: remove it`)
