import type { QueueConfig } from '../core/sending.ts'

/** When data counts as taken by a destination. */
export type Success =
  /** When it is in the queue in memory. */
  | 'accepted'
  /** When it is on disk. */
  | 'durable'
  /** When the destination has answered. */
  | 'delivered'

/** When data counts as taken by the destination behind a queue, and the settings that say so. */
export function successOf({ enabled, wait_for_result, storage }: QueueConfig): {
  success: Success
  because: readonly string[]
} {
  if (!enabled) return { success: 'delivered', because: ['sending_queue.enabled: false'] }
  if (storage) return { success: 'durable', because: [`sending_queue.storage: ${storage}`] }
  if (wait_for_result) return { success: 'delivered', because: ['sending_queue.wait_for_result: true'] }
  return { success: 'accepted', because: ['sending_queue.enabled: true', 'sending_queue.wait_for_result: false'] }
}
