/** Queues in the directory of a `file_storage` whose process does not run. */
import { stat } from 'node:fs/promises'
import { Books } from '../core/books.ts'
import { Budget } from '../core/budget.ts'
import { messageOf } from '../core/errors.ts'
import { Journal } from '../core/journal.ts'
import { silent } from '../core/logger.ts'
import { StorageError } from '../core/storage.ts'
import { realClock } from '../extensions/file_storage/clock.ts'
import { realFiles } from '../extensions/file_storage/files.ts'
import { inspectStorage, type WorkerState } from '../extensions/file_storage/inspect.ts'
import { FileStorage } from '../extensions/file_storage/storage.ts'
import { deadLettersDocument, queueDocument, type QueuesDocument } from '../service/queue-pages.ts'
import { Queues } from '../service/queues.ts'
import { AskError } from './admin-client.ts'

/** What stands in a directory, as far as it can be told without taking it from the process that has it. */
export interface DirectoryDocument extends QueuesDocument {
  /** What cannot be read; while a process writes, also what it is writing. */
  readonly damaged: readonly string[]
}

/** Reads what is there; changes nothing, and needs no lock. @throws AskError */
export async function inspectDirectory(directory: string): Promise<DirectoryDocument> {
  const states = await workersOf(directory)
  return {
    storages: [],
    queues: states.flatMap(({ worker, queues }) =>
      queues.map(queue => queueDocument(nameOf(worker), { ...queue, taken: false })),
    ),
    dead_letters: states.flatMap(({ worker, deadLetters }) =>
      deadLetters === undefined ? [] : [deadLettersDocument(nameOf(worker), deadLetters, { by: [], cut: true })],
    ),
    damaged: states.flatMap(({ findings }) => findings.map(({ path, at }) => `${path}, from byte ${at} on`)),
  }
}

async function workersOf(directory: string): Promise<WorkerState[]> {
  let states: WorkerState[]
  try {
    await stat(directory)
    states = await inspectStorage(directory)
  } catch (error) {
    throw new AskError(`--directory ${directory} cannot be read: ${messageOf(error)}`, { cause: error })
  }
  if (states.length > 0) return states
  throw new AskError(`${directory} is no directory of a \`file_storage\`: it has no folder worker-0`)
}

const nameOf = (worker: number): string => `worker-${worker}`

/** Takes a directory to export or drop what is in it. @throws AskError when a process has it */
export async function openDirectory(directory: string): Promise<{ queues: Queues; close(): Promise<void> }> {
  const opened: { id: string; storage: FileStorage }[] = []
  const close = async (): Promise<void> => {
    for (const { storage } of opened) await storage.close()
  }
  try {
    for (const { worker } of await workersOf(directory)) {
      opened.push({ id: nameOf(worker), storage: await openWorker(directory, worker) })
    }
  } catch (error) {
    await close()
    if (!(error instanceof StorageError)) throw error
    const instead =
      error.kind === 'locked' ? '\nIt runs: leave --directory out to have it do that, through its admin server.' : ''
    throw new AskError(`${error.message}${instead}`, { cause: error })
  }
  const queues = new Queues({
    books: new Books(),
    journal: new Journal(),
    budget: new Budget(Infinity),
    log: silent,
    storages: () => opened,
    pipelines: () => [],
    entrance: () => undefined,
    exporterEntrance: () => undefined,
  })
  return { queues, close }
}

function openWorker(directory: string, worker: number): Promise<FileStorage> {
  return FileStorage.open({
    directory,
    worker,
    createDirectory: false,
    mode: 0o750,
    lockTimeout: 0,
    fsync: true,
    // Nothing is given up for want of room or for its age here.
    maxSize: Number.MAX_SAFE_INTEGER,
    maxAge: Infinity,
    segmentSize: 1024 * 1024,
    syncTimeout: 60_000,
    deadLetters: { maxSize: Number.MAX_SAFE_INTEGER, maxAge: Infinity },
    files: realFiles,
    clock: realClock,
    log: silent,
  })
}
