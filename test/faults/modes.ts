/** Which queues there are to try. */
import { components } from '../support/components.ts'
import type { Mode } from './hostile.ts'

/** Whether this build can keep queues on disk. */
export const durable = components.some(({ type }) => type === 'file_storage')
const wanted = process.env['KYMO_FAULTS_MODES']?.split(',')

/** All of them, or those that `KYMO_FAULTS_MODES` names. */
export const modes: readonly Mode[] = (durable ? (['memory', 'durable'] as const) : (['memory'] as const)).filter(
  mode => wanted?.includes(mode) ?? true,
)
