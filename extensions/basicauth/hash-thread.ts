/** The thread that hashes passwords: one after the other, as they are sent to it. */
import { setPriority } from 'node:os'
import { type MessagePort, parentPort } from 'node:worker_threads'
import { bcrypt, BcryptTables } from './bcrypt.ts'
import { md5Crypt } from './md5-crypt.ts'

/** How a password was hashed. */
export type Recipe =
  | { readonly scheme: 'bcrypt'; readonly cost: number; readonly salt: string }
  | { readonly scheme: 'md5'; readonly magic: string; readonly salt: string }

/** What the thread is asked for. */
export interface HashOrder {
  readonly password: Uint8Array
  readonly recipe: Recipe
  /** Its one number is set when nobody wants the hash any more. */
  readonly ended: Int32Array
}

/** What the thread says: the hash; undefined when it was ended before. */
export interface HashAnswer {
  readonly hash: string | undefined
  /** Milliseconds of CPU that it took: on a busy machine more time passes, which is not the fault of whoever asked. */
  readonly took: number
}

/** Where others want the same core this gets about a fifth of it: data comes first. */
const niceness = 6

function serve(port: MessagePort): void {
  // Elsewhere it would be the priority of the process.
  if (process.platform === 'linux') setPriority(niceness)
  const tables = new BcryptTables()
  port.on('message', ({ password, recipe, ended }: HashOrder) => {
    const before = process.threadCpuUsage()
    const bytes = Buffer.from(password.buffer, password.byteOffset, password.byteLength)
    const hash =
      recipe.scheme === 'md5'
        ? md5Crypt(bytes, recipe.salt, recipe.magic)
        : bcrypt(bytes, recipe, tables, () => Atomics.load(ended, 0) === 0)
    const { user, system } = process.threadCpuUsage(before)
    port.postMessage({ hash, took: (user + system) / 1000 } satisfies HashAnswer)
  })
}

if (parentPort !== null) serve(parentPort)
