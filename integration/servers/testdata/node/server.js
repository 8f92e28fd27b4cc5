// A server of grpc.testing.TestService: node server.js OPTIONS-OF-GRPC-NODE MILLISECONDS-OF-AN-ANSWER
const grpc = require('@grpc/grpc-js');

const same = (bytes) => bytes; // an Empty is no bytes at all
const service = {
  EmptyCall: {
    path: '/grpc.testing.TestService/EmptyCall',
    requestStream: false,
    responseStream: false,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  },
};

const server = new grpc.Server(JSON.parse(process.argv[2]));
const takes = Number(process.argv[3]);
const empty = (call, answer) => takes > 0
  ? setTimeout(() => answer(null, Buffer.alloc(0)), takes)
  : answer(null, Buffer.alloc(0));
server.addService(service, {EmptyCall: empty});
server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (err, port) => {
  if (err) throw err;
  console.log(`node ${process.versions.node} serves at 127.0.0.1:${port}.`);
});
