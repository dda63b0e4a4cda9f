/** What a directory holds, for whoever asks without opening it: nothing is changed, and no lock is needed. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf, type FileOperations, realFiles } from './files.ts'
import { type QueueState, queueState } from './log.ts'
import { type Finding, recover } from './recovery.ts'
import { deadDirectory } from './storage.ts'

/** What one process stored. */
export interface WorkerState {
  readonly worker: number
  readonly queues: readonly QueueState[]
  readonly deadLetters: QueueState | undefined
  /** What cannot be read; while a process writes, also what it was writing. */
  readonly findings: readonly Finding[]
}

/** All that the processes of a `directory` stored. */
export async function inspectStorage(directory: string, files: FileOperations = realFiles): Promise<WorkerState[]> {
  const states: WorkerState[] = []
  for (const name of (await readdir(directory)).sort()) {
    const worker = /^worker-(\d+)$/.exec(name)?.[1]
    if (worker === undefined) continue
    const findings: Finding[] = []
    const own = join(directory, name)
    const queues = await inspectLog(own, files, findings)
    const [deadLetters] = await inspectLog(deadDirectory(own), files, findings)
    states.push({ worker: Number(worker), queues, deadLetters, findings })
  }
  return states
}

async function inspectLog(directory: string, files: FileOperations, findings: Finding[]): Promise<QueueState[]> {
  for (let tries = 0; ; tries++) {
    const found: Finding[] = []
    try {
      // Commands ask, too, where no component runs that is told the time.
      const now = Date.now()
      const onFinding = (finding: Finding) => void found.push(finding)
      const terms = { directory, files, segmentSize: 0, now, fsync: false, readOnly: true, onFinding }
      const { owners } = await recover(terms)
      findings.push(...found)
      return [...owners].map(queueState)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error
      // There is no such log; or a process that writes has just given a file back.
      if (!(await readdir(directory).catch(() => undefined))) return []
      if (tries === 10) throw error
    }
  }
}
