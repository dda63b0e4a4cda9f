/** File operations under watch: who hangs is told of. */
import type { LogClock } from './clock.ts'
import type { FileOperations } from './files.ts'

/** `files`, with `hangs` told of each write, sync and change of names that takes longer than `limit` ms; reads are not watched. */
export function watched(
  files: FileOperations,
  clock: LogClock,
  limit: number,
  hangs: (what: string) => void,
): FileOperations {
  const watch = async <T>(what: string, work: Promise<T>): Promise<T> => {
    const cancel = clock.after(limit, () => hangs(what))
    try {
      return await work
    } finally {
      cancel()
    }
  }
  return {
    read: (file, buffers, at) => files.read(file, buffers, at),
    size: file => files.size(file),
    list: path => files.list(path),
    open: (path, how) => watch('opening a file', files.open(path, how)),
    close: file => watch('closing a file', files.close(file)),
    write: (file, buffers, at) => watch('a write', files.write(file, buffers, at)),
    writeDurably: (file, buffers, at) => watch('a write', files.writeDurably(file, buffers, at)),
    truncate: (file, size) => watch('cutting a file', files.truncate(file, size)),
    sync: file => watch('a sync', files.sync(file)),
    syncDirectory: path => watch('a sync', files.syncDirectory(path)),
    rename: (from, to) => watch('renaming a file', files.rename(from, to)),
    unlink: path => watch('removing a file', files.unlink(path)),
    free: path => watch('asking for free space', files.free(path)),
  }
}
