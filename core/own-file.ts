/** Opening files to write what is ours, at paths where others may have put something. */
import { constants, type Stats } from 'node:fs'
import { type FileHandle, lstat, open } from 'node:fs/promises'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { judgeDirectoryAt, noFollow, noWait, ownSelf } from './ownership.ts'

const { O_APPEND, O_CREAT, O_TRUNC, O_WRONLY } = constants

/** /dev/stdout is a link, and no file. What stands there is the system's. */
const isDevice = (path: string): boolean => /^\/(?:dev|proc\/self\/fd)\//.test(resolve(path))

/** Flags to write at the end of the file at `path`: through a link only where the system made it. */
export const appendFlags = (path: string): number => O_WRONLY | O_CREAT | O_APPEND | (isDevice(path) ? 0 : noFollow)

/**
 * Opens the file at `path` to write at its end, emptied first with `truncate`. It must be a file, and where others can put
 * something in its folder, one of ours: they could read what we write, or have us empty what is dear to us.
 * @throws Error of the system, or one that says what is there instead
 */
export async function openToAppend(path: string, mode: number, truncate: boolean): Promise<FileHandle> {
  if (isDevice(path)) return open(path, appendFlags(path) | (truncate ? O_TRUNC : 0), mode)
  const handle = await open(path, appendFlags(path) | noWait, mode).catch((error: unknown) => {
    if (!(error instanceof Error && 'code' in error && error.code === 'ELOOP')) throw error
    const message = `ELOOP: a symbolic link stands there, and nothing is written through one`
    throw Object.assign(new Error(message, { cause: error }), { code: error.code })
  })
  try {
    const { uid, nlink } = await expectFile(handle)
    const self = ownSelf()
    if (self !== undefined && (uid !== self.uid || nlink !== 1)) {
      const { isShared } = await judgeDirectoryAt(dirname(path), self)
      const whose = uid === self.uid ? 'that has another name, too' : `of user ${uid}`
      if (isShared) throw new Error(`a file ${whose} stands there, in a folder that others can write to`)
    }
    // Only now that it is known what would be emptied.
    if (truncate) await handle.truncate(0)
    return handle
  } catch (error) {
    await handle.close().catch(() => undefined)
    throw error
  }
}

/**
 * Opens a file to read it; a pipe or a device, which may never end or never begin, is none.
 * @throws Error of the system, or one that says so
 */
export async function openToRead(path: string): Promise<FileHandle> {
  const handle = await open(path, constants.O_RDONLY | noWait)
  try {
    await expectFile(handle)
    return handle
  } catch (error) {
    await handle.close().catch(() => undefined)
    throw error
  }
}

async function expectFile(handle: FileHandle): Promise<Stats> {
  const found = await handle.stat()
  if (!found.isFile()) throw new Error('what stands there is no file')
  return found
}

/** Refuses links among the folders between `base` and the file at `path`. @throws Error that names one */
export async function refuseLinkedFolders(base: string, path: string): Promise<void> {
  let folder = base
  for (const name of relative(base, dirname(path)).split(sep)) {
    if (name === '') continue
    folder = join(folder, name)
    if ((await lstat(folder)).isSymbolicLink()) throw new Error(`${folder} is a symbolic link; remove it`)
  }
}
