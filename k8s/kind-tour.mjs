// What `npm run kind` prints when all is running: commands that work when pasted.

/** @param {{ name: string, namespace: string }} options the kind cluster, and the namespace of the release */
export function kindTour({ name, namespace }) {
  const kubectl = namespace === 'default' ? 'kubectl' : `kubectl -n ${namespace}`;
  const helm = namespace === 'default' ? 'helm' : `helm -n ${namespace}`;
  return `
Shoal runs in the kind cluster ${name}; kubectl's context is kind-${name}. To try:

  # what there is
  ${kubectl} get pods -o wide
  ${kubectl} exec shoal-peer-0 -- shoal peers

  # put a file into one pod, get it from another
  head -c 100000000 /dev/urandom > /tmp/sample.bin
  ${kubectl} exec -i shoal-peer-0 -- shoal put - --as sample.bin < /tmp/sample.bin
  ${kubectl} exec shoal-peer-2 -- shoal get sample.bin --to /tmp/copy.bin
  ${kubectl} exec shoal-peer-2 -- sha256sum /tmp/copy.bin
  sha256sum /tmp/sample.bin
  ${kubectl} exec shoal-peer-0 -- shoal stat sample.bin

  # a pod dies and comes back, and its files are still there
  ${kubectl} delete pod shoal-peer-1 --grace-period=0 --force
  ${kubectl} exec shoal-peer-0 -- shoal peers

  # more peers, fewer peers
  ${kubectl} scale statefulset shoal-peer --replicas=5

  # from this machine: a peer's HTTP door, and the index
  ${kubectl} port-forward pod/shoal-peer-0 5001 &
  curl -o /tmp/copy.bin http://127.0.0.1:5001/files/sample.bin
  ${kubectl} port-forward service/shoal-index 5000 &
  curl http://127.0.0.1:5000/openapi.json

  # the chart's own test
  ${helm} test shoal

\`npm run kind\` again builds what changed and upgrades; \`npm run kind:down\` deletes the cluster.
`;
}
