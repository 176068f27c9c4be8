#include "project/init/stores.h"

namespace locald::project::init {

const StoreService& service_of(Store store) {
  static const StoreService postgres{
      Store::postgres,
      "db",
      "postgres:17",
      5432,
      {{"POSTGRES_DB", "DB"}, {"POSTGRES_PASSWORD", "postgres"}},
      "/var/lib/postgresql/data",
      // By TCP: while the image sets the database up it listens at a socket file alone.
      {"pg_isready", "-h", "localhost", "-U", "postgres"},
      "",
      "DATABASE_URL",
      "postgres://postgres:postgres@${services.NAME.host}:${services.NAME.port}/DB"};
  static const StoreService mysql{
      Store::mysql,
      "mysql",
      "mysql:8.4",
      3306,
      {{"MYSQL_DATABASE", "DB"}, {"MYSQL_ROOT_PASSWORD", "mysql"}},
      "/var/lib/mysql",
      {"mysqladmin", "ping", "--protocol=tcp", "-h", "localhost"},
      "2m",
      "DATABASE_URL",
      "mysql://root:mysql@${services.NAME.host}:${services.NAME.port}/DB"};
  static const StoreService mongo{Store::mongo,
                                  "mongo",
                                  "mongo:7",
                                  27017,
                                  {},
                                  "/data/db",
                                  {"mongosh", "--quiet", "--eval", "db.runCommand({ ping: 1 })"},
                                  "",
                                  "MONGODB_URI",
                                  "mongodb://${services.NAME.host}:${services.NAME.port}/DB"};
  static const StoreService redis{Store::redis,
                                  "redis",
                                  "redis:7",
                                  6379,
                                  {},
                                  "/data",
                                  {"redis-cli", "ping"},
                                  "",
                                  "REDIS_URL",
                                  "redis://${services.NAME.host}:${services.NAME.port}/0"};
  static const StoreService rabbitmq{
      Store::rabbitmq,
      "rabbitmq",
      "rabbitmq:4",
      5672,
      {},
      "/var/lib/rabbitmq",
      {"rabbitmq-diagnostics", "-q", "ping"},
      "1m",
      "AMQP_URL",
      "amqp://guest:guest@${services.NAME.host}:${services.NAME.port}"};
  switch (store) {
    case Store::postgres:
      return postgres;
    case Store::mysql:
      return mysql;
    case Store::mongo:
      return mongo;
    case Store::redis:
      return redis;
    case Store::rabbitmq:
      break;
  }
  return rabbitmq;
}

}  // namespace locald::project::init
