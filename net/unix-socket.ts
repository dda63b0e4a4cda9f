/** The place of a unix socket that only this user may connect to. */
import { lstat, mkdir, unlink } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname } from 'node:path'
import { messageOf } from '../core/errors.ts'
import { judgeDirectoryAt, ownSelf } from '../core/ownership.ts'
import { ListenError } from './listeners.ts'

/** The system has no room for more in the name of a socket (`sun_path`, with a zero at its end). */
const longestPath = process.platform === 'linux' ? 107 : 103

/**
 * Makes way for a socket at `path`: its directory must be ours, and what a process that was killed has left there goes.
 * @throws ListenError that says what is in the way
 */
export async function clearSocketPlace(path: string, owner: string): Promise<void> {
  const wrong = (what: string): ListenError => new ListenError(`${owner}: cannot listen on unix:${path}: ${what}`)
  if (Buffer.byteLength(path) > longestPath) throw wrong(`the path is longer than ${longestPath} bytes; choose another`)
  const directory = dirname(path)
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const { refusal } = await judgeDirectoryAt(directory)
    if (refusal !== undefined) throw wrong(`\`${directory}\` is not used: ${refusal}`)
    const found = await lstat(path).catch(() => undefined)
    if (found === undefined) return
    if (!found.isSocket()) throw wrong('what is there is no socket; remove it or choose another path')
    const self = ownSelf()
    if (self !== undefined && found.uid !== self.uid) throw wrong(`the socket there belongs to user ${found.uid}`)
    if (await isServed(path)) throw wrong('another process listens there; stop it or choose another path')
    await unlink(path)
  } catch (error) {
    throw error instanceof ListenError ? error : wrong(messageOf(error))
  }
}

/** Runs what binds a socket, so that nobody but this user may connect from its first moment on. */
export function privately<T>(bind: () => T): T {
  const before = process.umask(0o177)
  try {
    return bind()
  } finally {
    process.umask(before)
  }
}

/** Whether somebody takes connections; one who is only too busy counts. */
function isServed(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ path })
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', error => resolve(!('code' in error && error.code === 'ECONNREFUSED')))
  })
}
