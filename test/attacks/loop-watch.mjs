/**
 * Loaded into the process under attack before its program: tells over the channel of its parent how long its event loop
 * came to nothing else. JavaScript, because the compiler of types would be in the memory that is measured.
 *
 * Two clocks: what passed, and what this thread computed of it. On a machine with few cores the first also has the time
 * in which others ran, the attacker among them, so that limits are held against the smaller of both.
 */
const every = 5
let at = performance.now()
let cpu = process.threadCpuUsage()
let worst = { elapsed: 0, computed: 0 }

setInterval(() => {
  const now = performance.now()
  const used = process.threadCpuUsage()
  const elapsed = Math.max(0, now - at - every)
  const computed = Math.min(elapsed, (used.user + used.system - cpu.user - cpu.system) / 1000)
  at = now
  cpu = used
  worst.elapsed = Math.max(worst.elapsed, elapsed)
  worst.computed = Math.max(worst.computed, computed)
}, every).unref()

setInterval(() => {
  process.send?.(worst)
  worst = { elapsed: 0, computed: 0 }
}, 100).unref()

// Whoever watches has died: nobody else would end this process.
process.on('disconnect', () => process.exit(1))
process.channel?.unref()
