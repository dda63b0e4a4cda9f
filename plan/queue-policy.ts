/** What `sending_queue` means. The one reading of its keys: what runs is given it, and so is what tells of it. */
import type { QueueConfig } from '../core/sending.ts'

/** When data counts as taken by a destination, and its sender hears success. */
export type Success =
  /** When it is in the queue in memory. */
  | 'accepted'
  /** When it is on disk. */
  | 'durable'
  /** When the destination has answered. */
  | 'delivered'

/** What becomes of a batch that finds no room. */
export type WhenFull =
  /** Its sender is asked to come again. */
  | 'refuse'
  /** Its sender waits for room. */
  | 'wait'
  /** It is lost, as `queue_full`; its sender hears success. */
  | 'drop'
  /** It waits on disk only. */
  | 'spill'

/** How one exporter takes data. */
export interface QueuePolicy {
  /** Where what was taken waits until it is sent; undefined: there is no queue, the sender waits with it. */
  readonly keeps: 'memory' | 'disk' | undefined
  /** Id of the storage extension; undefined unless it keeps on disk. */
  readonly storage: string | undefined
  readonly success: Success
  /**
   * Whether senders wait for it with what is gathered in front of it. For what is done in this process nobody does, unless
   * the configuration asks for the answer.
   */
  readonly isAwaited: boolean
  /** The settings that make it so. */
  readonly because: readonly string[]
  /** Undefined without a queue, which is never full. */
  readonly whenFull: WhenFull | undefined
  readonly whenFullBecause: string | undefined
  /** Whether the configuration says what a full queue does; else nobody was asked. */
  readonly whenFullChosen: boolean
  /** What becomes of a batch for which there is no room anywhere: as `whenFull`, but for `spill`, when the disk is full. */
  readonly atLast: Exclude<WhenFull, 'spill'> | undefined
}

/** Reads it, of an exporter that sends over a network or does its work in this process (`local`). */
export function queuePolicy(queue: QueueConfig, local = false): QueuePolicy {
  if (!queue.enabled) {
    return {
      keeps: undefined,
      storage: undefined,
      success: 'delivered',
      isAwaited: !local,
      because: ['sending_queue.enabled: false'],
      whenFull: undefined,
      whenFullBecause: undefined,
      whenFullChosen: false,
      atLast: undefined,
    }
  }
  const storage = queue.storage || undefined
  const keeps = storage === undefined ? 'memory' : 'disk'
  return {
    keeps,
    storage,
    whenFullChosen: queue.when_full !== undefined,
    isAwaited: queue.wait_for_result || storage !== undefined,
    ...successOf(queue, storage),
    ...fullOf(queue, storage),
  }
}

/** What waits for the answer hears it, whatever else happens to the data meanwhile. */
function successOf(
  { wait_for_result }: QueueConfig,
  storage: string | undefined,
): Pick<QueuePolicy, 'success' | 'because'> {
  if (wait_for_result) return { success: 'delivered', because: ['sending_queue.wait_for_result: true'] }
  if (storage !== undefined) return { success: 'durable', because: [`sending_queue.storage: ${storage}`] }
  return { success: 'accepted', because: ['sending_queue.enabled: true', 'sending_queue.wait_for_result: false'] }
}

function fullOf(
  { when_full: chosen, block_on_overflow: blocks }: QueueConfig,
  storage: string | undefined,
): Pick<QueuePolicy, 'whenFull' | 'whenFullBecause' | 'atLast'> {
  const atLast = chosen === 'drop' ? 'drop' : blocks ? 'wait' : 'refuse'
  if (chosen === 'spill' || (chosen === undefined && storage !== undefined)) {
    const because = chosen === undefined ? `sending_queue.storage: ${storage}` : 'sending_queue.when_full: spill'
    return { whenFull: 'spill', whenFullBecause: because, atLast }
  }
  if (atLast === 'wait') {
    return { whenFull: 'wait', whenFullBecause: 'sending_queue.block_on_overflow: true', atLast }
  }
  const because = chosen === undefined ? 'sending_queue.when_full is not set' : `sending_queue.when_full: ${chosen}`
  return { whenFull: atLast, whenFullBecause: because, atLast }
}
