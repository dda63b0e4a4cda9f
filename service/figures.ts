/** Figures of the process: time, CPU, memory. */
import { performance } from 'node:perf_hooks'
import type { ProcessFigures } from '../telemetry/family.ts'

/** Milliseconds for which figures are good enough, so that one scrape reads them once. */
const fresh = 50

/** Reads the figures, at most every few milliseconds. */
export class ProcessMeter {
  #figures: ProcessFigures | undefined
  #at = -Infinity
  #loop = performance.eventLoopUtilization()

  read(): ProcessFigures {
    const now = performance.now()
    if (this.#figures !== undefined && now - this.#at < fresh) return this.#figures
    const { rss, heapUsed, heapTotal, external } = process.memoryUsage()
    const { user, system } = process.cpuUsage()
    const before = this.#loop
    this.#loop = performance.eventLoopUtilization()
    this.#at = now
    this.#figures = {
      uptimeSeconds: process.uptime(),
      cpuSeconds: (user + system) / 1e6,
      rssBytes: rss,
      heapUsedBytes: heapUsed,
      heapTotalBytes: heapTotal,
      externalBytes: external,
      eventLoopUtilization: performance.eventLoopUtilization(this.#loop, before).utilization,
    }
    return this.#figures
  }
}
